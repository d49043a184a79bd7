//! The architecture holds: every module imports only from rows below its own, the request's path takes no lock, files
//! have one idea's length, and only the audited modules may be unsafe.

mod manifest;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use source::{code, imports, lets_pass, without_tests, words};

/// Longest file, lines; tests and generated tables aside.
const MAX_LINES: usize = 400;
/// Files that are unsafe or may be, and why. Three of them are the gateway's.
const AUDITED: [(&str, &str); 11] = [
    ("host/src/allocator.rs", "the allocator: mimalloc, and a list of free blocks of one size"),
    ("host/src/plugin/cache.rs", "loading compiled components, which the gateway has authenticated itself"),
    ("host/src/plugin/ticker.rs", "what the handler of a thread's alarm does"),
    ("sdk/src/allocator.rs", "the allocator of a component, which has one thread"),
    ("sdk/src/bindings.rs", "code that wit-bindgen generates, and nothing else"),
    ("sdk/src/dispatch.rs", "naming the section that holds the SDK's version"),
    ("tests/counts/counter.rs", "the allocator of a test program, which hands everything to the system's"),
    ("tests/guest/examples/flooding.rs", "a guest without the SDK: code that wit-bindgen generates"),
    ("tests/guest/examples/forging.rs", "a guest without the SDK: code that wit-bindgen generates"),
    ("tests/guest/examples/prefetched.rs", "a guest without the SDK: code that wit-bindgen generates"),
    ("tests/guest/examples/trespasser.rs", "a guest without the SDK: code that wit-bindgen generates"),
];
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
    ("telemetry/listed.rs", "lists that grow when a configuration is assembled, and are read, and looked through, with metrics"),
    ("telemetry/logs.rs", "its tests"),
    ("telemetry/logs/writer.rs", "its tests"),
    ("telemetry/reloads.rs", "the control thread, when a reload has ended, and who reads metrics"),
    ("telemetry/slo.rs", "whoever assembles a configuration, and who reads metrics"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn rust_files(under: &Path) -> Vec<PathBuf> {
    files(under, |path| path.extension().is_some_and(|extension| extension == "rs"))
}

fn files(under: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![under.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().unwrap() != "target" {
                    folders.push(path);
                }
            } else if wanted(&path) {
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
        for import in imports(&without_tests(&code(&text))) {
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
    // The lint knows the locks of two libraries; no other one is there to be named.
    let manifests = files(&root().join("host"), |path| path.ends_with("Cargo.toml"));
    assert!(manifests.len() >= 2, "{manifests:?}");
    for file in manifests {
        let waiting = manifest::waiting(&fs::read_to_string(&file).unwrap());
        assert!(waiting.is_empty(), "{}: threads wait for each other in {waiting:?}", file.display());
    }
}

#[test]
fn unsafe_stays_in_its_modules() {
    let mut found = BTreeSet::new();
    for folder in ["host", "sdk", "plugins", "examples", "xtask", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let text = code(&fs::read_to_string(&file).unwrap());
            // Some crates have no lints of the workspace's to let pass.
            if lets_pass(&text, "unsafe_code") || words(&text).any(|word| word == "unsafe") {
                found.insert(file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let audited: BTreeSet<String> = AUDITED.iter().map(|(file, _)| (*file).to_owned()).collect();
    let unaudited: Vec<_> = found.difference(&audited).collect();
    assert!(unaudited.is_empty(), "these have unsafe code, and only {AUDITED:?} may: {unaudited:?}");
    let without: Vec<_> = audited.difference(&found).collect();
    assert!(without.is_empty(), "these have none any more: {without:?}");
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
