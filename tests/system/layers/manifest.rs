//! What a crate depends on by its own manifest.

use std::collections::BTreeSet;

/// Crates that a thread waits in for another: locks, and what is made of them. Each stands for all whose names begin so.
const WAITING: [&str; 16] = [
    "async-lock",
    "async-mutex",
    "crossbeam",
    "dashmap",
    "event-listener",
    "flume",
    "futures-locks",
    "kanal",
    "lock_api",
    "mini-moka",
    "moka",
    "parking_lot",
    "quick_cache",
    "scc",
    "sharded-slab",
    "spin",
];

/// Those among the direct dependencies of a program or library; what its tests and its build use is no matter.
pub(super) fn waiting(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = toml::from_str(manifest).unwrap();
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values);
    let tables = std::iter::once(manifest.get("dependencies")).chain(targets.map(|target| target.get("dependencies")));
    let dependencies = tables.flatten().filter_map(toml::Value::as_table).flatten();
    // It may be called something else here.
    let names = dependencies.map(|(name, settings)| settings.get("package").and_then(toml::Value::as_str).unwrap_or(name));
    names.filter(|name| WAITING.iter().any(|waiting| name.starts_with(*waiting))).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::waiting;

    #[test]
    fn a_crate_with_locks_is_found_in_any_table_and_by_any_name() {
        let manifest = r#"
            [package]
            name = "dashmap-of-mine"
            [dependencies]
            bytes = "1"
            parking_lot = "0.12"
            map = { version = "6", package = "dashmap" }
            [target.'cfg(unix)'.dependencies]
            crossbeam-channel = { version = "0.5" }
            [target.'cfg(unix)'.dev-dependencies]
            spin = "0.9"
            [dev-dependencies]
            flume = "0.11"
        "#;
        assert_eq!(waiting(manifest).into_iter().collect::<Vec<_>>(), ["crossbeam-channel", "dashmap", "parking_lot"]);
        assert!(waiting("[package]\nname = \"a\"").is_empty());
    }
}
