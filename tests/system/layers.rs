//! The architecture holds: every module imports only from rows below its own, the request's path takes no lock, files
//! have one idea's length, and only the audited modules may be unsafe.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, lines; tests and generated tables aside.
const MAX_LINES: usize = 400;
/// The two modules of the gateway with an `unsafe` call: loading compiled components it has authenticated itself, and what the handler of a thread's
/// alarm does. And the allocator of a test program, which hands everything to the system's.
const AUDITED: [&str; 3] = ["host/src/plugin/cache.rs", "host/src/plugin/ticker.rs", "tests/allocations/counter.rs"];
/// Modules a request runs through: nothing in them may wait for another thread.
#[rustfmt::skip]
const REQUEST_PATH: [&str; 14] = [
    "capability", "exchange", "fault", "http", "http_client", "pipeline", "places", "plugin", "proxy", "route", "server", "telemetry", "trace",
    "upstream",
];
/// Files of these modules that have a lock all the same, and who takes it. None is taken for a request.
const LOCKS: [(&str, &str); 10] = [
    ("telemetry.rs", "lists that grow when threads are set up, and are read with metrics"),
    ("telemetry/canaries.rs", "the control thread, when a reload has ended, and who reads metrics"),
    ("telemetry/cell.rs", "no lock of its own: how set-up and readers take one"),
    ("telemetry/incidents.rs", "analysis, once a minute, and who reads metrics"),
    ("telemetry/lateness.rs", "who reads status; a worker only tries, for a stall longer than all before it"),
    ("telemetry/logs.rs", "its tests"),
    ("telemetry/logs/writer.rs", "its tests"),
    ("telemetry/reloads.rs", "the control thread, when a reload has ended, and who reads metrics"),
    ("telemetry/slo.rs", "whoever assembles a configuration, and who reads metrics"),
    ("telemetry/worker.rs", "lists that grow when a configuration is assembled, and are read with metrics"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn rust_files(under: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![under.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().unwrap() != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Rows as the crate's documentation states them: the table is the rule.
fn rows() -> BTreeMap<String, usize> {
    let lib = fs::read_to_string(root().join("host/src/lib.rs")).unwrap();
    let mut rows = BTreeMap::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let Some(row) = line.split(' ').next().and_then(|number| number.parse().ok()) else { continue };
        for module in line.split('`').skip(1).step_by(2) {
            rows.insert(module.to_owned(), row);
        }
    }
    rows
}

fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("host/src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Code without comments and strings, near enough for finding paths in it.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Modules named after `crate::`, one level of braces included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            for item in list.split('}').next().unwrap().split(',') {
                found.insert(item.trim().split("::").next().unwrap().to_owned());
            }
        } else {
            found.insert(rest.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect());
        }
    }
    found
}

#[test]
fn modules_import_only_from_rows_below() {
    let rows = rows();
    assert!(rows.len() > 12, "the table in lib.rs was not found: {rows:?}");
    let mut wrong = Vec::new();
    let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in rust_files(&root().join("host/src")) {
        let module = module_of(&file);
        if matches!(module.as_str(), "lib" | "main" | "cli") {
            continue;
        }
        let Some(own) = rows.get(&module) else {
            wrong.push(format!("`{module}` stands in no row of host/src/lib.rs"));
            continue;
        };
        // Tests may build what they need from anywhere.
        if file.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs"))) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let text = code(text.split("#[cfg(test)]").next().unwrap());
        for import in imports(&text) {
            match rows.get(&import) {
                _ if import == module => {}
                Some(0) if *own == 0 => {
                    words.entry(module.clone()).or_default().insert(import);
                }
                Some(row) if row < own => {}
                // Assembly is two steps of one row: the gateway runs what assembly made.
                Some(row) if row == own && module == "gateway" && import == "assembly" => {}
                Some(row) => wrong.push(format!("{}: row {own} imports `{import}` of row {row}", file.display())),
                None => wrong.push(format!("{}: `crate::{import}` is in no row", file.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Words may be made of words, but not in a circle.
    while let Some(leaf) = words.keys().cloned().chain(rows.keys().cloned()).find(|module| {
        words.get(module).is_none_or(BTreeSet::is_empty) && {
            words.contains_key(module) || words.values().any(|uses| uses.contains(module))
        }
    }) {
        words.remove(&leaf);
        words.values_mut().for_each(|uses| {
            uses.remove(&leaf);
        });
    }
    assert!(words.is_empty(), "these import each other in a circle: {words:?}");
}

#[test]
fn the_request_path_takes_no_lock() {
    // The lint that denies it in these modules is in host/clippy.toml; nobody may have switched it off here.
    let bans = fs::read_to_string(root().join("host/clippy.toml")).unwrap();
    for lock in ["std::sync::Mutex", "std::sync::RwLock", "std::sync::Condvar", "tokio::sync::Mutex", "tokio::sync::RwLock"] {
        assert!(bans.contains(&format!("\"{lock}\"")), "host/clippy.toml does not ban {lock}");
    }
    let mut locked = BTreeSet::new();
    for file in rust_files(&root().join("host/src")).into_iter().filter(|file| REQUEST_PATH.contains(&&*module_of(file))) {
        let text = fs::read_to_string(&file).unwrap();
        if text.contains("disallowed_types") {
            locked.insert(file.strip_prefix(root().join("host/src")).unwrap().to_str().unwrap().to_owned());
        }
    }
    let named: BTreeSet<String> = LOCKS.iter().map(|(file, _)| (*file).to_owned()).collect();
    let unnamed: Vec<_> = locked.difference(&named).collect();
    assert!(unnamed.is_empty(), "these switch the ban off: {unnamed:?}");
    let without: Vec<_> = named.difference(&locked).collect();
    assert!(without.is_empty(), "these have no lock any more: {without:?}");
}

#[test]
fn unsafe_stays_in_its_modules() {
    for folder in ["host", "plugins", "xtask", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let text = code(&fs::read_to_string(&file).unwrap());
            let is_audited = AUDITED.iter().any(|audited| file.ends_with(audited));
            let has = ["allow", "expect"].iter().any(|level| text.contains(&format!("{level}(unsafe_code")));
            assert!(!has || is_audited, "{} has unsafe code; only {AUDITED:?} may", file.display());
        }
    }
}

#[test]
fn files_have_the_length_of_one_idea() {
    let mut long = Vec::new();
    for folder in ["host", "sdk", "plugins", "xtask", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            if lines > MAX_LINES {
                long.push(format!("{}: {lines}", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "split these: {long:#?}");
}
