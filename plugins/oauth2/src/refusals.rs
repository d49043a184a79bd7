//! Where refusals are kept in `kv`: each has one place it can be, which is others' too, so that what is asked for in vain takes no room from what is worth
//! keeping. Who looks there compares.

/// Places of each kind.
const PLACES: u16 = 1024;

/// The place of what has this digest.
pub(crate) fn place(kind: &str, digest: &[u8]) -> String {
    let number = digest.first_chunk().map_or(0, |start| u16::from_le_bytes(*start) % PLACES);
    format!("refused-{kind}:{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let places: std::collections::BTreeSet<String> = (0..=u16::MAX).map(|start| place("token", &start.to_le_bytes())).collect();
        assert_eq!(places.len(), usize::from(PLACES));
        assert_ne!(place("token", &[1, 2, 3]), place("login", &[1, 2, 3]));
        assert_eq!(place("token", &[]), "refused-token:0");
    }
}
