//! A message has a size that its receiver takes: gRPC's own limit is 4 MiB, and who sends more loses all of it.

use std::mem;

use prost::Message;

/// Bytes of what is in a message, at most: a part of them is left for whose it is.
pub(super) const MOST: usize = 3 << 20;
/// What stands around each of several things: a tag and a length.
const AROUND: usize = 6;

/// In their order, as many together as fit into so many bytes; one that is larger is alone.
pub(super) fn parts<T: Message>(all: Vec<T>, most: usize) -> Vec<Vec<T>> {
    let (mut parts, mut part, mut size) = (Vec::new(), Vec::new(), 0);
    for one in all {
        let own = one.encoded_len() + AROUND;
        if size + own > most && !part.is_empty() {
            parts.push(mem::take(&mut part));
            size = 0;
        }
        size += own;
        part.push(one);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::resource::text;

    #[test]
    fn as_much_as_fits_goes_together() {
        let sizes = |lengths: &[usize]| -> Vec<usize> {
            let all = lengths.iter().map(|length| text("", &"x".repeat(*length))).collect();
            parts(all, 1_000).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[300, 300, 300, 300]), [3, 1]);
        assert_eq!(sizes(&[300, 5_000, 300, 300]), [1, 1, 2]);
    }
}
