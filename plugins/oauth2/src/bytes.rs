//! Comparing bytes in Wasm.

/// Whether two texts are the same, in a time that depends on nothing but their length. By four words of eight bytes at a time: a Wasm
/// `memcmp` takes one byte, and a loop over single words spends most of its time on counting.
pub(crate) fn is_same(kept: &[u8], given: &[u8]) -> bool {
    if kept.len() != given.len() {
        return false;
    }
    let ((kept, kept_end), (given, given_end)) = (kept.as_chunks::<32>(), given.as_chunks::<32>());
    let blocks = kept.iter().zip(given).fold(0, |differ, (kept, given)| differ | words_differ(kept, given));
    let ((kept, kept_end), (given, given_end)) = (kept_end.as_chunks::<8>(), given_end.as_chunks::<8>());
    let words = kept.iter().zip(given).fold(0, |differ, (kept, given)| differ | word_differs(kept, given));
    let bytes = kept_end.iter().zip(given_end).fold(0, |differ, (kept, given)| differ | (kept ^ given));
    blocks == 0 && words == 0 && bytes == 0
}

fn words_differ(kept: &[u8; 32], given: &[u8; 32]) -> u64 {
    let ((kept, _), (given, _)) = (kept.as_chunks::<8>(), given.as_chunks::<8>());
    kept.iter().zip(given).fold(0, |differ, (kept, given)| differ | word_differs(kept, given))
}

fn word_differs(kept: &[u8; 8], given: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*kept) ^ u64::from_le_bytes(*given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_difference() {
        for length in 0..80 {
            let one = vec![b'a'; length];
            assert!(is_same(&one, &one.clone()) && !is_same(&one, &[&one[..], b"a"].concat()));
            for at in 0..length {
                let mut other = one.clone();
                other[at] ^= 0x80;
                assert!(!is_same(&one, &other), "{at} of {length}");
            }
        }
    }
}
