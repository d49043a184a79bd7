//! Both ends of a proxy: an upstream and a client, each of plain blocking sockets on threads of their own. Only the
//! thread between them is measured, so what they allocate does not matter.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Every answer, in one piece.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 64\r\n\r\n\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Connections a client keeps.
const CONNECTIONS: usize = 4;

/// An answer that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that answers everything alike and remembers the last request's head.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    last: Arc<Mutex<String>>,
}

impl Upstream {
    /// Starts one. It runs as long as the program.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, last) = (listener.local_addr().unwrap(), Arc::<Mutex<String>>::default());
        let remembered = Arc::clone(&last);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let last = Arc::clone(&remembered);
                std::thread::spawn(move || answer(Stream::new(stream.unwrap()), &last));
            }
        });
        Self { address, last }
    }

    /// Header lines of the last request, in order of their names, those that are different in every request without values.
    pub(crate) fn last_headers(&self) -> Vec<String> {
        let last = self.last.lock().unwrap();
        let lines = last.lines().skip(1).filter(|line| !line.is_empty()).map(|line| match line.split_once(": ") {
            Some((name @ ("x-request-id" | "traceparent" | "host"), _)) => name.to_owned(),
            _ => line.to_owned(),
        });
        let mut lines: Vec<_> = lines.collect();
        lines.sort();
        lines
    }
}

fn answer(mut stream: Stream, last: &Mutex<String>) {
    while let Some(head) = stream.message() {
        head.clone_into(&mut last.lock().unwrap());
        stream.socket.write_all(ANSWER).unwrap();
    }
}

/// A client with a few kept connections, which it uses in turn.
pub(crate) struct Client {
    streams: Vec<Stream>,
    next: usize,
}

impl Client {
    pub(crate) fn connect(to: SocketAddr) -> Self {
        Self { streams: (0..CONNECTIONS).map(|_| Stream::new(TcpStream::connect(to).unwrap())).collect(), next: 0 }
    }

    /// Sends a request so many times, each after the answer to the one before, and checks the answers.
    pub(crate) fn send(&mut self, request: &[u8], times: u64) {
        for _ in 0..times {
            self.next = (self.next + 1) % self.streams.len();
            let stream = &mut self.streams[self.next];
            stream.socket.write_all(request).unwrap();
            let head = stream.message().expect("the proxy closed the connection");
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nx-request-id: "), "{head}");
        }
    }
}

/// A socket from which whole messages are read.
struct Stream {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Stream {
    fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, buffer: Vec::new() }
    }

    /// Reads one message whose body has a `Content-Length` or is none, and gives its head; `None` at the end.
    fn message(&mut self) -> Option<String> {
        self.buffer.clear();
        let mut piece = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&self.buffer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    assert_eq!(body.len(), length, "more than was asked for");
                    return Some(format!("{head}\r\n"));
                }
            }
            match self.socket.read(&mut piece) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.buffer.extend_from_slice(&piece[..length]),
            }
        }
    }
}
