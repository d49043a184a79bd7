//! Small messages in one piece. A head and a short body come as two or three slices; copying them together and sending
//! them with `send` spares the kernel the list of slices.

use std::io::IoSlice;

/// Most bytes worth copying.
pub const MOST: usize = 1536;

/// The slices as one, if there is only one or they are small enough; `None` leaves them as they are.
pub fn gather<'a>(slices: &'a [IoSlice<'_>], into: &'a mut [u8; MOST]) -> Option<&'a [u8]> {
    if let [one] = slices {
        return Some(one);
    }
    if slices.iter().map(|slice| slice.len()).sum::<usize>() > MOST {
        return None;
    }
    let mut filled = 0;
    for slice in slices {
        into.get_mut(filled..filled + slice.len())?.copy_from_slice(slice);
        filled += slice.len();
    }
    into.get(..filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_what_is_small() {
        let (long, mut into) = (vec![b'x'; MOST], [0; MOST]);
        let slices = |parts: &[&'static str]| parts.iter().map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>();
        let parts = slices(&["head", "", "body"]);
        let several: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        assert_eq!(gather(&several, &mut into), Some(&b"headbody"[..]));
        assert_eq!(gather(&[IoSlice::new(&long), IoSlice::new(b"1")], &mut into), None);
        assert_eq!(gather(&[IoSlice::new(&long)], &mut into), Some(&long[..]));
        assert_eq!(gather(&[IoSlice::new(b""), IoSlice::new(&long)], &mut into).map(<[u8]>::len), Some(MOST));
    }
}
