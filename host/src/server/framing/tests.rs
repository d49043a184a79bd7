use serde::Deserialize;

use super::*;

mod fuzz;
mod oracle;

const LIMITS: Limits = Limits { head_bytes: 4096, headers: 16 };

/// What a scanner makes of a whole connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// So many requests, and nothing else.
    Complete(u64),
    /// More must come.
    Unfinished,
    /// After so many bytes.
    Fault(usize, FramingFault),
}

fn scan(parts: &[&[u8]]) -> Verdict {
    scan_with(LIMITS, parts)
}

fn scan_with(limits: Limits, parts: &[&[u8]]) -> Verdict {
    let mut scanner = Scanner::new(limits);
    let mut before = 0;
    for part in parts {
        if let Err((good, fault)) = scanner.scan(part) {
            return Verdict::Fault(before + good, fault);
        }
        before += part.len();
    }
    if scanner.is_between_requests() { Verdict::Complete(scanner.requests()) } else { Verdict::Unfinished }
}

/// The cases that are also sent over real sockets: their list, name and bytes.
fn cases() -> Vec<(String, String, Vec<u8>)> {
    #[derive(Deserialize)]
    struct Case {
        name: String,
        raw: String,
    }
    let lists: std::collections::BTreeMap<String, Vec<Case>> =
        toml::from_str(include_str!("../../../../tests/smuggling/cases.toml")).unwrap();
    let bytes = |case: &Case| case.raw.chars().map(|byte| u8::try_from(u32::from(byte)).unwrap()).collect();
    let list = |(list, cases): (String, Vec<Case>)| {
        cases.into_iter().map(|case| (list.clone(), case.name.clone(), bytes(&case))).collect::<Vec<_>>()
    };
    lists.into_iter().flat_map(list).collect()
}

#[test]
fn every_case_of_the_table_has_its_verdict_at_one_byte() {
    for (list, name, bytes) in cases() {
        let whole = scan(&[&bytes]);
        match list.as_str() {
            "head" | "body" => assert!(matches!(whole, Verdict::Fault(..)), "{name}: {whole:?}"),
            _ => assert!(matches!(whole, Verdict::Complete(1..)), "{name}: {whole:?}"),
        }
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(scan(&[left, right]), whole, "{name}, split at {at}");
        }
        assert_eq!(scan(&bytes.chunks(1).collect::<Vec<_>>()), whole, "{name}, byte by byte");
    }
}

#[test]
fn a_fault_is_found_at_the_byte_that_shows_it() {
    use FramingFault::*;
    for (good, rest, fault) in [
        ("\r\n", "\r\nGET", EmptyLines),
        ("", "\nGET", BareLf),
        ("", "\0", Control),
        ("", " GET", InvalidRequestLine),
        ("GET ", " /", InvalidRequestLine),
        ("GET /", "\r\n", InvalidRequestLine),
        ("GET / HTTP/1.1", " \r\n", InvalidRequestLine),
        ("GET ", "x", InvalidTarget),
        ("GET /", "#", InvalidTarget),
        ("GET http://a", "@", InvalidHost),
        ("CONNECT a:80", "/", InvalidHost),
        ("GET / HTTP/1.", "2", UnsupportedVersion),
        ("GET / HTTP/", "2.0\r\n", UnsupportedVersion),
        ("GET / HTTP/1.1\r\n", " x: y", ObsoleteFold),
        ("GET / HTTP/1.1\r\nx", " : y", SpaceBeforeColon),
        ("GET / HTTP/1.1\r\nx", "\r\n", InvalidHeaderName),
        ("GET / HTTP/1.1\r\nx: y\r", "z", BareCr),
        ("GET / HTTP/1.1\r\nx: y", "\n", BareLf),
        ("GET / HTTP/1.1\r\nx: y", "\x7f", Control),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ", "+1", InvalidContentLength),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 922337203685477580", "8", InvalidContentLength),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length", ": 1", RepeatedContentLength),
        ("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding", ":", LengthWithTransferEncoding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length", ":", LengthWithTransferEncoding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding", ":", RepeatedTransferEncoding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: ", "x", InvalidTransferEncoding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked", ",", InvalidTransferEncoding),
        ("GET / HTTP/1.0\r\nTransfer-Encoding", ":", TransferEncodingInHttp10),
        ("GET / HTTP/1.1\r\n\r", "\n", MissingHost),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost", ": a", RepeatedHost),
        ("GET / HTTP/1.1\r\nHost: a", "/", InvalidHost),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0", "x", InvalidChunkSize),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800000000000000", "0", InvalidChunkSize),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", "\u{80}", InvalidChunkExtension),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na", "b", InvalidChunkEnd),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost", ":", FramingTrailer),
    ] {
        assert_eq!(scan(&[good.as_bytes(), rest.as_bytes()]), Verdict::Fault(good.len(), fault), "{good:?} {rest:?}");
    }
}

#[test]
fn a_host_that_is_known_is_held_to_what_every_host_is() {
    use FramingFault::*;
    let label = "a".repeat(55);
    for host in ["a.example:80", "[::1]", &label, &format!("{label}b"), &format!("{label}bc")] {
        let line = format!("Host: {host}\r\n");
        let first = format!("GET / HTTP/1.1\r\n{line}\r\n");
        for (more, limits, fault) in [
            (format!("GET / HTTP/1.1\r\n{line}Host"), LIMITS, Some(RepeatedHost)),
            (format!("GET / HTTP/1.1\r\n{line} x\r\n\r\n"), LIMITS, Some(ObsoleteFold)),
            (format!("POST / HTTP/1.1\r\n{line}Transfer-Encoding: chunked\r\n\r\n0\r\nHost"), LIMITS, Some(FramingTrailer)),
            (format!("GET / HTTP/1.1\r\n{line}"), Limits { headers: 1, ..LIMITS }, None),
            ("GET / HTTP/1.1\r\nx: y\r\n".to_owned(), Limits { headers: 1, ..LIMITS }, Some(TooManyHeaders)),
            (String::new(), Limits { head_bytes: first.len(), ..LIMITS }, None),
            ("GET / HTTP/1.1\r\nx: y\r\n".to_owned(), Limits { head_bytes: first.len(), ..LIMITS }, Some(HeadTooLarge)),
        ] {
            let faulty = fault.is_some();
            let rest = match fault {
                Some(RepeatedHost | FramingTrailer) => ": x\r\n\r\n".to_owned(),
                Some(TooManyHeaders | HeadTooLarge) => format!("{line}\r\n"),
                _ => "\r\n".to_owned(),
            };
            let bytes = [first.clone(), more.clone(), rest].concat().into_bytes();
            let whole = scan_with(limits, &[&bytes]);
            assert_eq!(matches!(whole, Verdict::Fault(_, found) if Some(found) == fault), faulty, "{more:?}: {whole:?}");
            for at in 0..=bytes.len() {
                let (left, right) = bytes.split_at(at);
                assert_eq!(scan_with(limits, &[left, right]), whole, "{more:?}, split at {at}");
            }
            assert_eq!(scan_with(limits, &bytes.chunks(1).collect::<Vec<_>>()), whole, "{more:?}, byte by byte");
        }
    }
}

#[test]
fn the_documentation_tells_every_fault() {
    let page = include_str!("../../../../docs/framing.md");
    let rows: Vec<Vec<&str>> =
        page.lines().filter_map(|line| Some(line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect())).skip(1).collect();
    assert_eq!(rows.len(), 27);
    for row in rows {
        let &[refused, _, example] = row.as_slice() else { panic!("{row:?}") };
        // Limits have no short example; they are tested below.
        let Some(example) = example.strip_prefix('`').and_then(|example| example.strip_suffix('`')) else { continue };
        let verdict = scan(&[&unescape(example)]);
        assert!(matches!(verdict, Verdict::Fault(_, fault) if fault.to_string() == refused), "{refused}: {verdict:?}");
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (byte, rest) = match part.split_at(1) {
            ("r", rest) => (b'\r', rest),
            ("n", rest) => (b'\n', rest),
            (_, rest) => (u8::from_str_radix(&rest[..2], 16).unwrap(), &rest[2..]),
        };
        bytes.push(byte);
        bytes.extend(rest.as_bytes());
    }
    bytes
}

#[test]
fn limits_hold_to_the_byte_and_the_line() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nx: y\r\n\r\n";
    let exact = Limits { head_bytes: head.len(), headers: 2 };
    assert_eq!(scan_with(exact, &[head.as_bytes(), head.as_bytes()]), Verdict::Complete(2));
    let short = Limits { head_bytes: head.len() - 1, ..exact };
    assert_eq!(scan_with(short, &[head.as_bytes()]), Verdict::Fault(head.len() - 1, FramingFault::HeadTooLarge));
    let few = Limits { headers: 1, ..exact };
    assert_eq!(scan_with(few, &[head.as_bytes()]), Verdict::Fault(25, FramingFault::TooManyHeaders));

    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let roomy = Limits { head_bytes: chunked.len() - 3, headers: 2 };
    let trailers = |count: usize, value: usize| format!("{chunked}{}\r\n", format!("t: {}\r\n", "v".repeat(value)).repeat(count));
    assert_eq!(scan_with(roomy, &[trailers(2, 1).as_bytes()]), Verdict::Complete(1));
    for over in [trailers(3, 1), trailers(1, 100)] {
        assert!(matches!(scan_with(roomy, &[over.as_bytes()]), Verdict::Fault(_, FramingFault::TrailersTooLarge)), "{over}");
    }
    let extended = |length: usize| format!("{}3;{}\r\nabc\r\n0\r\n\r\n", &chunked[..chunked.len() - 3], "e".repeat(length - 1));
    assert_eq!(scan(&[extended(256).as_bytes()]), Verdict::Complete(1));
    assert!(matches!(scan(&[extended(257).as_bytes()]), Verdict::Fault(_, FramingFault::ChunkExtensionTooLong)));
}

#[test]
fn a_large_body_is_counted_and_not_read() {
    let mut scanner = Scanner::new(LIMITS);
    let length = 3u64 << 30;
    scanner.scan(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").as_bytes()).unwrap();
    // Anything at all, a faulty head too, is only bytes here.
    let block = b"\0\nGET / HTTP/9\r\n\r\n".repeat(1 << 16);
    let mut left = length;
    while left > 0 {
        let now = block.len().min(usize::try_from(left).unwrap());
        scanner.scan(&block[..now]).unwrap();
        left -= now as u64;
        assert_eq!(scanner.is_between_requests(), left == 0);
    }
    assert!(matches!(scanner.scan(b"\0"), Err((0, FramingFault::Control))));
}

#[test]
fn it_knows_whether_a_byte_is_of_a_head_or_of_a_body() {
    let mut scanner = Scanner::new(LIMITS);
    for (bytes, in_head, requests) in [
        ("", true, 0),
        ("\r\n", true, 0),
        ("G", true, 0),
        ("ET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r", true, 0),
        ("\n", false, 1),
        ("1\r\na\r\n0\r\nx: y\r\n", false, 1),
        ("\r\n", true, 1),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, 2),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", false, 3),
    ] {
        scanner.scan(bytes.as_bytes()).unwrap();
        assert_eq!((scanner.in_head(), scanner.requests()), (in_head, requests), "{bytes:?}");
    }
}
