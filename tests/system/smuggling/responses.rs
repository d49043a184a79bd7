//! The other way: an upstream whose answer two parsers could frame differently gets a 502, and nothing of it the next
//! client. The upstream here is raw bytes, since no server library would send these.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use plugway_harness::raw::Raw;

use crate::common::{HEAD, start};

/// Answers every request of every connection with the bytes its path names by number.
fn upstream(answers: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, answers) = (socket.unwrap(), answers.clone());
            std::thread::spawn(move || {
                while let Some(number) = request(&mut socket) {
                    if socket.write_all(&answers[number]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Reads one head and gives the number that is its path.
fn request(socket: &mut TcpStream) -> Option<usize> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    head.split(['/', ' ']).find_map(|word| word.parse().ok())
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";

/// What is wrong, the head, and what follows it: a second answer, for whoever takes the head to have no body.
const MALFORMED: [(&str, &str); 18] = [
    ("CL and TE", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("TE and CL", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
    ("two lengths that agree", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    ("two lengths that differ", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 3\r\n\r\n"),
    ("a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0, 0\r\n\r\n"),
    ("a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n"),
    ("a hexadecimal length", "HTTP/1.1 200 OK\r\nContent-Length: 0x0\r\n\r\n"),
    ("an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"),
    ("a length of 2^64", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n"),
    ("chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("two codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    ("gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("xchunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("a folded line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx: y\r\n z\r\n\r\n"),
    ("space before a colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
    ("NUL in a value", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx: \0\r\n\r\n"),
    ("switching protocols unasked", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
];

#[test]
fn an_answer_with_ambiguous_framing_is_a_502_and_poisons_nobody() {
    let mut answers = vec![GOOD.as_bytes().to_vec()];
    answers.extend(MALFORMED.iter().map(|(_, raw)| format!("{raw}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").into_bytes()));
    let upstream = upstream(answers);
    let gateway = start(&format!(
        r#"{HEAD}
[upstreams.up]
endpoints = ["http://{upstream}"]
[[routes]]
name = "all"
match = {{ path = "/*" }}
public = true
upstream = "up"
"#
    ));
    let mut client = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let mut get = |number: usize, what: &str| {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
        let response = client.response().unwrap_or_else(|error| panic!("{what}: {error}"));
        (response.status, response.text())
    };
    for (number, (what, _)) in MALFORMED.iter().enumerate() {
        assert_eq!(get(0, what), (200, "good".to_owned()), "{what}");
        let (status, text) = get(number + 1, what);
        assert_eq!(status, 502, "{what}: {text}");
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["code"], "upstream-malformed", "{what}: {text}");
        assert_eq!(get(0, what), (200, "good".to_owned()), "after {what}");
    }
}

#[test]
fn bytes_after_a_complete_answer_are_nobodys() {
    let extra = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let whole = [
        GOOD.to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{extra}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{extra}"),
        format!("HTTP/1.1 204 No Content\r\n\r\n{extra}"),
        format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n{extra}"),
    ];
    let upstream = upstream(whole.iter().map(|answer| answer.clone().into_bytes()).collect());
    let gateway = start(&format!(
        r#"{HEAD}
[upstreams.up]
endpoints = ["http://{upstream}"]
[[routes]]
name = "all"
match = {{ path = "/*" }}
public = true
upstream = "up"
"#
    ));
    let mut client = Raw::connect(gateway.address("web").unwrap()).unwrap();
    for (number, status) in [(1, 200), (2, 200), (3, 204), (4, 304)] {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
        assert_eq!(client.response().unwrap().status, status);
        for _ in 0..3 {
            client.send("GET /0 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            assert_eq!(client.response().unwrap().text(), "good", "after answer {number}");
        }
    }
}
