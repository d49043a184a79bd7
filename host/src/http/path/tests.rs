use proptest::prelude::*;

use super::*;

/// The name a fault has in the document: its variant in kebab case.
fn name(fault: PathFault) -> String {
    let mut name = String::new();
    for character in format!("{fault:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

/// The input column: code quotes off, `\xHH` to bytes (two of them make one character where they are UTF-8).
fn input(cell: &str) -> String {
    let text = cell.trim().trim_matches('`');
    if text == "(empty)" {
        return String::new();
    }
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'\\' && tail.first() == Some(&b'x') {
            let (value, tail) = escape(&tail[1..]).unwrap();
            bytes.push(value);
            rest = tail;
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn does_what_the_document_says() {
    let document = include_str!("../../../../docs/paths.md");
    let rows: Vec<(&str, &str)> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let inner = line.strip_prefix("| ").unwrap().strip_suffix(" |").unwrap();
            inner.split_once(" | ").unwrap()
        })
        .collect();
    assert!(rows.len() >= 70, "{} rows", rows.len());
    for (raw, expected) in rows {
        let raw = input(raw);
        let result = match normalise(&raw) {
            Ok(path) => format!("`{path}`"),
            Err(fault) => format!("refused: {}", name(fault)),
        };
        assert_eq!(result, expected.trim(), "{raw:?}");
    }
}

#[test]
fn a_normal_path_is_borrowed() {
    for path in ["/", "/orders/5", "/.well-known/a", "/caf%C3%A9/100%25", "/a/", "/a...b/..c"] {
        assert!(matches!(normalise(path), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        assert!(is_normal(path), "{path}");
    }
    for path in ["", "a", "//", "/%61", "/a/..", "/a;b"] {
        assert!(!is_normal(path), "{path}");
    }
}

#[test]
fn decodes_what_a_segment_stands_for() {
    assert_eq!(&*decode_segment("caf%C3%A9"), "caf\u{e9}".as_bytes());
    assert_eq!(&*decode_segment("a%20b%25"), b"a b%");
    assert_eq!(&*decode_segment("a%2"), b"a%2");
    assert!(matches!(decode_segment("plain"), Cow::Borrowed(b"plain")));
}

/// Paths built from the pieces parsers disagree about, with noise between.
fn hostile_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("/".to_owned()),
        2 => Just(".".to_owned()),
        2 => Just("..".to_owned()),
        1 => Just("%".to_owned()),
        1 => Just("25".to_owned()),
        2 => (0u8..=255).prop_map(|byte| format!("%{byte:02x}")),
        1 => Just("%c3%a9".to_owned()),
        2 => "[a-z0-9~|{:,]{1,3}",
        1 => "[;\\\\ \u{e9}#]",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn is_idempotent(path in prop_oneof![hostile_path(), any::<String>()]) {
        if let Ok(once) = normalise(&path) {
            prop_assert!(is_normal(&once), "{} of {}", once, path);
            let twice = normalise(&once);
            prop_assert_eq!(twice.as_deref(), Ok(&*once));
            prop_assert!(matches!(twice, Ok(Cow::Borrowed(_))));
        }
    }

    #[test]
    fn a_normal_path_has_no_structure_left_to_find(path in hostile_path()) {
        if let Ok(normal) = normalise(&path) {
            prop_assert!(normal.starts_with('/'));
            prop_assert!(!normal.contains("//"));
            prop_assert!(normal.split('/').all(|segment| segment != "." && segment != ".."));
            // Not even for a server that decodes everything, once or twice.
            let mut decoded = decode_segment(&normal).into_owned();
            for _ in 0..2 {
                let text = String::from_utf8(decoded).unwrap();
                prop_assert_eq!(text.matches('/').count(), normal.matches('/').count());
                prop_assert!(!text.split('/').any(|segment| segment == ".."));
                prop_assert!(!text.contains(['\\', ';', '\0', '\r', '\n']));
                decoded = decode_segment(&text).into_owned();
                if String::from_utf8(decoded.clone()).is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn equivalent_spellings_meet(segments in proptest::collection::vec("[a-z~_.-]{1,4}", 1..5)) {
        prop_assume!(segments.iter().all(|segment| segment != "." && segment != ".."));
        let plain = format!("/{}", segments.join("/"));
        let escaped = format!("//./{}", segments.iter()
            .map(|segment| segment.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>())
            .collect::<Vec<_>>().join("//"));
        let normal = normalise(&escaped);
        prop_assert_eq!(normal.as_deref(), Ok(&*plain));
    }
}

#[test]
fn a_query_holds_what_the_http_crate_takes_of_ascii() {
    for byte in 0..=0x7F_u8 {
        let query = char::from(byte).to_string();
        // A fragment is cut off there, and nobody would miss it.
        let taken = byte != b'#' && http::uri::PathAndQuery::try_from(format!("/?a={query}")).is_ok();
        assert_eq!(may_be_query(&query), taken, "{byte:#x}");
    }
    assert!(may_be_query("") && !may_be_query("é"));
}
