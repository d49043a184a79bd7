//! Heads, read and refused.

use super::*;

/// The first head of these bytes, and what is left of them.
fn read(bytes: &[u8], is_of_head: bool) -> (Result<Option<Head>, Http1Error>, usize) {
    let mut input = Input::of(bytes);
    let head = HeadReader::default().read(&mut input, &mut HeaderMap::new(), is_of_head);
    (head, input.len())
}

fn head(lines: &str) -> Head {
    read(format!("{lines}\r\n\r\n").as_bytes(), false).0.unwrap().unwrap()
}

fn refused(lines: &str) -> String {
    read(format!("{lines}\r\n\r\n").as_bytes(), false).0.unwrap_err().to_string()
}

#[test]
fn a_head_is_its_status_its_headers_and_how_its_body_ends() {
    let (found, left) = read(b"HTTP/1.1 201 Made\r\nContent-Length: 3\r\nX-A: 1\r\nx-a:  2 \r\nset-cookie: \xe9\r\n\r\nabc", false);
    let found = found.unwrap().unwrap();
    assert_eq!((found.status.as_u16(), left, found.keeps_open), (201, 3, true));
    let values: Vec<_> = found.headers.get_all("x-a").iter().map(HeaderValue::as_bytes).collect();
    assert_eq!((values, found.headers["set-cookie"].as_bytes()), (vec![&b"1"[..], b"2"], &b"\xe9"[..]));
    assert_eq!((found.decoder, found.present.has(Present::CONTENT_LENGTH)), (Decoder::Length(3), true));
    assert!(!found.present.has(Present::TRANSFER_ENCODING));
}

#[test]
fn it_is_found_wherever_what_came_was_cut() {
    let bytes = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200\r\ncontent-length: 0\r\n\r\n";
    for step in 1..bytes.len() {
        let (mut input, mut reader, mut spare) = (Input::of(b""), HeadReader::default(), HeaderMap::new());
        let mut found = None;
        for piece in bytes.chunks(step) {
            assert!(found.is_none());
            input.put(piece);
            found = reader.read(&mut input, &mut spare, false).unwrap();
        }
        assert_eq!((found.unwrap().status.as_u16(), input.len()), (200, 0), "{step}");
    }
}

#[test]
fn what_has_no_body_has_none_whatever_it_says() {
    for status in ["204", "304"] {
        let length = if status == "304" { "\r\ncontent-length: 7" } else { "" };
        assert_eq!(head(&format!("HTTP/1.1 {status} x{length}")).decoder, Decoder::Ended);
    }
    let of_head = |lines: &str| read(format!("HTTP/1.1 200 OK{lines}\r\n\r\n").as_bytes(), true).0.unwrap().unwrap();
    for lines in ["", "\r\ncontent-length: 7", "\r\ntransfer-encoding: chunked"] {
        assert_eq!((of_head(lines).decoder, of_head(lines).keeps_open), (Decoder::Ended, true), "{lines}");
    }
    assert_eq!(head("HTTP/1.1 200 OK\r\ncontent-length: 0").decoder, Decoder::Ended);
}

#[test]
fn another_request_may_follow_where_neither_body_nor_connection_ends_with_the_other() {
    let keeps_open = |lines: &str| head(lines).keeps_open;
    assert!(keeps_open("HTTP/1.1 200 OK\r\ncontent-length: 7"));
    assert!(keeps_open("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked"));
    assert!(keeps_open("HTTP/1.0 200 OK\r\ncontent-length: 7\r\nconnection: Keep-Alive"));
    assert!(!keeps_open("HTTP/1.0 200 OK\r\ncontent-length: 7"));
    assert!(!keeps_open("HTTP/1.0 200 OK\r\nconnection: keep-alive"), "its end is the body's");
    assert!(!keeps_open("HTTP/1.1 200 OK"));
    assert!(keeps_open("HTTP/1.1 204 x\r\ncontent-length: 0"));
    assert!(!keeps_open("HTTP/1.1 204 x\r\ncontent-length: 7"), "it may send them");
    assert!(!keeps_open("HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: x, CLOSE\r\nconnection: keep-alive"));
    assert_eq!(head("HTTP/1.1 200 OK").decoder, Decoder::UntilClosed);
    assert_eq!(head("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked").decoder, Decoder::chunked());
}

#[test]
fn what_cannot_be_trusted_is_refused() {
    let line = |line: &str| refused(&format!("HTTP/1.1 200 OK\r\n{line}"));
    assert_eq!(line("content-length: 1\r\ncontent-length: 1"), "more than one Content-Length");
    assert_eq!(line("content-length: 1\r\ntransfer-encoding: chunked"), "Content-Length beside Transfer-Encoding");
    assert_eq!(line("transfer-encoding: gzip, chunked"), "a Transfer-Encoding other than chunked");
    assert_eq!(refused("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked"), "a Transfer-Encoding in HTTP/1.0");
    assert_eq!(refused("HTTP/1.1 101 x"), "the upstream switched protocols without being asked");
    assert_eq!(refused("HTTP/1.1 600 x"), "a status that is of no class");
    assert_eq!(refused("HTTP/1.1 099 x"), "a status that is no number");
    assert_eq!(refused("HTTP/2.0 200 OK"), "no response head: invalid HTTP version");
    assert_eq!(line("a b: 1"), "no response head: invalid header name");
    assert_eq!(line("a: 1\r\n b"), "no response head: invalid header name");
    assert_eq!(line(&format!("{}: 1", "n".repeat(65_536))), "a header name that is too long");
    assert_eq!(line(&vec!["a: 1"; 101].join("\r\n")), "no response head: too many headers");
    assert!(matches!(read(b"\r\n\n\r\n\r", false), (Ok(None), 1)), "empty lines are nothing");
    assert_eq!(read(b"\x16\x03\x01\x02\n\n", false).0.unwrap_err().to_string(), "no response head: invalid HTTP version");
    assert_eq!(head(&vec!["HTTP/1.1 200 OK"; 1].into_iter().chain(vec!["a: 1"; 100]).collect::<Vec<_>>().join("\r\n")).headers.len(), 100);
}

#[test]
fn what_is_no_response_is_known_by_its_beginning() {
    for begins in ["", "\r", "H", "HTTP/1.", "HTTP/1.1 200 OK\r\na: 1", "\r\n\r\nHTTP/1.1 2"] {
        assert!(matches!(read(begins.as_bytes(), false).0, Ok(None)), "{begins:?}");
    }
    for begins in ["220 mail ESMTP\r\n", "\rx", "\x16\x03\x01", "HTTP/2", "http/1.1 200", "\r\n\r\nno"] {
        let error = read(begins.as_bytes(), false).0.unwrap_err();
        assert_eq!(error.to_string(), "no response head: invalid HTTP version", "{begins:?}");
    }
}

#[test]
fn what_means_nothing_has_an_end() {
    for nothing in ["HTTP/1.1 103 x\r\n\r\n", "\r\n", "\n"] {
        let before = |count: usize| read(format!("{}HTTP/1.1 200 OK\r\n\r\n", nothing.repeat(count)).as_bytes(), false).0;
        assert!(before(100).unwrap().is_some());
        assert_eq!(before(101).unwrap_err().to_string(), "too many interim responses");
    }
}

#[test]
fn one_that_does_not_end_is_refused_when_there_is_too_much_of_it() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    bytes.resize(MAX_BUFFER - 1, b'x');
    assert!(matches!(read(&bytes, false), (Ok(None), _)));
    bytes.push(b'x');
    assert_eq!(read(&bytes, false).0.unwrap_err().to_string(), "a response head that is too long");
}
