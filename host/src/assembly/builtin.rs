//! The shipped plugins, embedded. A built-in is the same component as its file and runs through the same calls.

/// Names and bytes.
const BUILTINS: [(&str, &[u8]); 6] = [
    ("api-key", include_bytes!(concat!(env!("OUT_DIR"), "/api-key.wasm"))),
    ("hash-router", include_bytes!(concat!(env!("OUT_DIR"), "/hash-router.wasm"))),
    ("tls-forward", include_bytes!(concat!(env!("OUT_DIR"), "/tls-forward.wasm"))),
    ("oauth2", include_bytes!(concat!(env!("OUT_DIR"), "/oauth2.wasm"))),
    ("rate-limit", include_bytes!(concat!(env!("OUT_DIR"), "/rate-limit.wasm"))),
    ("metrics", include_bytes!(concat!(env!("OUT_DIR"), "/metrics.wasm"))),
];

/// The component of `builtin:NAME`.
pub fn builtin(name: &str) -> Option<&'static [u8]> {
    BUILTINS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_knows_exactly_what_is_embedded() {
        let mut embedded: Vec<_> = BUILTINS.iter().map(|(name, _)| *name).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, crate::config::BUILTINS);
    }
}
