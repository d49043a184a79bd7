//! Whatever a file holds, it is a configuration or a list of problems; never a panic.

use std::path::Path;

use super::super::{INIT, parse};

/// Pieces that mean something to TOML or to a value.
const PIECES: [&str; 40] = [
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "\\",
    "\"\"\"",
    "'''",
    "\u{0}",
    "ü",
    "\u{1F600}",
    "0x",
    "1e9",
    "inf",
    "nan",
    "-1",
    "18446744073709551616",
    "1979-05-27T07:32:00Z",
    "true",
    "null",
    "/*",
    "{id}",
    "*.",
    "://",
    "[::1]",
    ":0",
    "builtin:",
    "\"5s\"",
    "99999999999999999999GiB",
    "= {}",
    "= []",
    " = \"\"",
];

#[test]
fn no_text_makes_it_panic() {
    let mut random = fastrand::Rng::with_seed(0x706C_7567);
    let lines: Vec<_> = INIT
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ")).unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect();
    let (mut good, mut bad) = (0, 0);
    for round in 0..2_000 {
        let mut text: Vec<char> = match round % 3 {
            0 => INIT.chars().collect(),
            // Few lines in any order make other nonsense than many.
            _ => {
                (0..random.usize(1..40)).map(|_| format!("{}\n", lines[random.usize(..lines.len())])).collect::<String>().chars().collect()
            }
        };
        for _ in 0..random.usize(..8) {
            let at = random.usize(..=text.len());
            let end = random.usize(at..=text.len().min(at + 12));
            match random.u8(..4) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, PIECES[random.usize(..PIECES.len())].chars())),
                2 => drop(text.splice(at..end, PIECES[random.usize(..PIECES.len())].chars())),
                _ => {
                    let copy: Vec<_> = text[at..end].to_vec();
                    let to = random.usize(..=text.len());
                    drop(text.splice(to..to, copy));
                }
            }
        }
        let text: String = text.into_iter().collect();
        match parse(&text, Path::new("no-such-folder/plugway.toml")) {
            Ok(_) => good += 1,
            Err(rejected) => {
                bad += 1;
                let printed = rejected.to_string();
                assert!(!printed.contains("this cannot be used"), "the schema took what the types do not: {printed}");
                assert!(!rejected.problems.is_empty() && printed.lines().count() > rejected.problems.len(), "{printed}");
                // The same text says the same again.
                assert_eq!(parse(&text, Path::new("no-such-folder/plugway.toml")).unwrap_err().to_string(), printed);
            }
        }
    }
    assert!(bad > 1_000, "{good} good, {bad} bad");
}

#[test]
fn a_cut_off_file_never_makes_it_panic() {
    for (end, _) in INIT.char_indices().step_by(7) {
        drop(parse(&INIT[..end], Path::new("no-such-folder/plugway.toml")));
    }
}
