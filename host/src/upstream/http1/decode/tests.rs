//! Bodies, whole and cut, as they should be and not.

use super::*;

/// What became of a body that came in pieces.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Bytes behind it.
    left: usize,
}

fn decoded<'p>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<Found, String> {
    let (mut input, mut data, mut trailers) = (Input::of(b""), Vec::new(), None);
    for piece in pieces {
        input.put(piece);
        while let Some(frame) = decoder.decode(&mut input).map_err(|error| error.to_string())? {
            match frame.into_data() {
                Ok(bytes) => {
                    assert!(!bytes.is_empty());
                    data.extend_from_slice(&bytes);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    }
    decoder.closed().map_err(|error| error.to_string())?;
    Ok(Found { data, trailers, left: input.len() })
}

fn chunked(bytes: &[u8]) -> Result<Found, String> {
    let whole = decoded(Decoder::chunked(), [bytes]);
    for step in 1..bytes.len().min(64) {
        assert_eq!(decoded(Decoder::chunked(), bytes.chunks(step)), whole, "in pieces of {step}");
    }
    whole
}

fn found(data: &[u8], left: usize) -> Result<Found, String> {
    Ok(Found { data: data.to_vec(), trailers: None, left })
}

const CUT: &str = "the connection was closed within a response body";

#[test]
fn a_length_is_so_many_bytes() {
    assert_eq!(decoded(Decoder::of_length(5), [&b"ab"[..], b"cdefg"]), found(b"abcde", 2));
    assert_eq!(decoded(Decoder::of_length(5), [&b"abcd"[..]]), Err(CUT.to_owned()));
    assert_eq!(decoded(Decoder::of_length(0), [&b"a"[..]]), found(b"", 1));
    assert_eq!(decoded(Decoder::UntilClosed, [&b"ab"[..], b"c"]), found(b"abc", 0));
}

#[test]
fn all_of_a_length_is_known_as_such() {
    let is_all = |decoder: Decoder, bytes: &[u8]| decoder.is_all_of(&Input::of(bytes));
    assert!(is_all(Decoder::Length(3), b"abc"));
    assert!(!is_all(Decoder::Length(3), b"ab") && !is_all(Decoder::Length(3), b"abcd"));
    assert!(!is_all(Decoder::UntilClosed, b"abc") && !is_all(Decoder::chunked(), b"0\r\n\r\n") && !is_all(Decoder::Ended, b""));
}

#[test]
fn chunks_are_put_together() {
    assert_eq!(chunked(b"0\r\n\r\n"), found(b"", 0));
    assert_eq!(chunked(b"3\r\nabc\r\n0\r\n\r\n"), found(b"abc", 0));
    assert_eq!(chunked(b"3\r\nabc\r\n00a \t;x=\"y\"\r\n0123456789\r\n000\r\n\r\nHTTP"), found(b"abc0123456789", 4));
    assert_eq!(chunked(b"1;e\r\na\r\n0;e\r\n\r\n"), found(b"a", 0));
    assert_eq!(chunked(b"1\r\na\r\n0\r\n\r"), Err(CUT.to_owned()));
    assert_eq!(chunked(b"4\r\nabc"), Err(CUT.to_owned()));
}

#[test]
fn the_end_behind_a_chunk_is_known_with_it() {
    let (mut decoder, mut input) = (Decoder::chunked(), Input::of(b"3\r\nabc\r\n0\r\n\r\n"));
    assert!(decoder.decode(&mut input).unwrap().is_some());
    assert!(decoder.is_ended() && input.is_empty());
}

#[test]
fn what_is_no_chunk_is_refused() {
    for bytes in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        " 1\r\n",
        "1 2\r\n",
        "1x\r\n",
        "1\n",
        "1;\ra\r\n",
        "1\x0c\r\n",
        "0x1\r\n",
        "10000000000000000\r\n",
    ] {
        let error = chunked(bytes.as_bytes()).unwrap_err();
        assert_ne!(error, CUT, "{bytes:?}");
    }
    for bytes in ["1\r\nab\r\n", "1\r\na\n0\r\n\r\n", "1\r\na\rb"] {
        assert_eq!(chunked(bytes.as_bytes()), Err("a chunk that is longer than its size".to_owned()), "{bytes:?}");
    }
    assert_eq!(chunked(b"ffffffffffffffff\r\nabc"), Err(CUT.to_owned()), "as large as can be said");
}

#[test]
fn extensions_have_an_end() {
    let line = |length: usize| format!("1;{}\r\na\r\n", "x".repeat(length));
    let body = |lines: usize| format!("{}0\r\n\r\n", line(1000).repeat(lines));
    let of = |text: String| decoded(Decoder::chunked(), [text.as_bytes()]).map(|found| found.data.len());
    assert_eq!(of(body(16)), Ok(16));
    assert_eq!(of(body(17)), Err("chunk extensions that are too long".to_owned()));
    // Blanks in front of the line's end are none: some servers make all sizes as wide.
    let padded = format!("{}0\r\n\r\n", "1   \r\na\r\n".repeat(MAX_EXTENSIONS));
    assert_eq!(of(padded), Ok(MAX_EXTENSIONS));
    let endless = format!("1;{}", "x".repeat(MAX_EXTENSIONS));
    assert_eq!(of(endless), Err("chunk extensions that are too long".to_owned()));
}

#[test]
fn trailers_come_behind_the_last_chunk() {
    let with = chunked(b"1\r\na\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\nrest").unwrap();
    assert_eq!((with.data, with.left), (b"a".to_vec(), 4));
    assert_eq!(with.trailers.unwrap().get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(chunked(b"0\r\na b: 1\r\n\r\n"), Err("trailers that are none".to_owned()));
    assert_eq!(chunked(b"0\r\na: b\n\nHTTP/1.1 200 OK\r\n\r\n"), Err("trailers with an end in them".to_owned()));
    let many = |lines: usize| decoded(Decoder::chunked(), [format!("0\r\n{}\r\n", "a: 1\r\n".repeat(lines)).as_bytes()]);
    assert_eq!(many(100).unwrap().trailers.unwrap().len(), 100);
    assert_eq!(many(101), Err("trailers that are none".to_owned()));
    let long = |bytes: usize| decoded(Decoder::chunked(), [format!("0\r\na: {}\r\n\r\n", "x".repeat(bytes)).as_bytes()]);
    assert!(long(MAX_TRAILERS - 7).is_ok());
    assert_eq!(long(MAX_TRAILERS - 6), Err("trailers that are too long".to_owned()));
}
