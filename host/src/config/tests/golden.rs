//! Files in `tests/golden/config`: adding a case is adding a `.toml` and running with `PLUGWAY_BLESS=1`, which writes what
//! the `.txt` beside it must say. Read it before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::parse;
use super::summary::summary;

fn folder(name: &str) -> PathBuf {
    // Without `..`, since messages name files by their absolute path.
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/config").join(name)).unwrap()
}

/// Holds every file of a folder against what is written beside it.
fn check(name: &str, least: usize, print: impl Fn(&str, &Path) -> String) {
    let folder = folder(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let bless = std::env::var_os("PLUGWAY_BLESS").is_some();
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        count += 1;
        let text = fs::read_to_string(file).unwrap();
        let printed = print(&text, file).replace(&format!("{}/", folder.display()), "");
        let golden = file.with_extension("txt");
        if bless {
            fs::write(&golden, &printed).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != printed {
            wrong.push(format!("{}:\n{printed}", golden.display()));
        }
    }
    for golden in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "txt")) {
        assert!(golden.with_extension("toml").exists(), "{} has no .toml", golden.display());
    }
    assert!(wrong.is_empty(), "these differ; if they are right, run again with PLUGWAY_BLESS=1\n{}", wrong.join("\n"));
    assert!(count >= least, "only {count} files in {}", folder.display());
}

#[test]
fn valid_files_mean_what_is_written_beside_them() {
    check("valid", 15, |text, file| match parse(text, file) {
        Ok(loaded) => summary(&loaded),
        Err(problems) => panic!("{problems}"),
    });
}

#[test]
fn invalid_files_are_explained_as_written_beside_them() {
    check("invalid", 30, |text, file| {
        let printed = parse(text, file).expect_err(&file.display().to_string()).to_string();
        let problems = printed.lines().filter(|line| line.starts_with(&format!("{}:", file.display()))).count();
        let helps = printed.lines().filter(|line| line.starts_with("    help: ")).count();
        // The parser's own words about what is no TOML are all there is to say.
        assert!(helps == problems || file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("syntax")), "{printed}");
        printed
    });
}
