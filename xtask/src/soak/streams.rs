//! Streams that are open over all changes, as a browser keeps server-sent events for hours: each began on the first version, flows on to
//! the end, and keeps nothing of what served when it began. However long the soak is, so long are they.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

/// So many that each of two workers has some: the kernel deals connections out by chance.
const STREAMS: u64 = 16;
/// A byte each, from the upstream, for longer than anybody waits.
const PATH: &str = "/drip/1000000000/200";
/// Longest wait for the next one. The gateway itself ends a stream that says nothing for a minute.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Flowed {
    pub(super) streams: u64,
    /// How long the youngest of those that flow is open.
    pub(super) open_for: Duration,
    /// What there came of it, all streams together.
    pub(super) bytes: u64,
    /// Why those that do not flow any more do not.
    pub(super) ended: Vec<String>,
}

/// Open streams. Dropping them leaves them to the end of the process; [`Streams::end`] ends them.
pub(super) struct Streams {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<Duration>>>,
}

#[derive(Debug, Default)]
struct Shared {
    done: AtomicBool,
    bytes: AtomicU64,
}

impl Streams {
    /// When this returns each of them flows.
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let threads = (0..STREAMS).map(|_| {
            let (stream, began) = (open(address)?, Instant::now());
            let shared = Arc::clone(&shared);
            let read = move || shared.read(stream).map(|()| began.elapsed());
            std::thread::Builder::new().name("stream".to_owned()).spawn(read).context("thread")
        });
        let threads = threads.collect::<Result<_>>()?;
        Ok(Self { shared, threads })
    }

    /// Waits until each has had one byte more, and ends them.
    pub(super) fn end(self) -> Flowed {
        self.shared.done.store(true, Ordering::SeqCst);
        let mut flowed = Flowed { streams: self.threads.len() as u64, ..Flowed::default() };
        let mut open_for = Vec::new();
        for thread in self.threads {
            match thread.join() {
                Ok(Ok(time)) => open_for.push(time),
                Ok(Err(error)) => flowed.ended.push(error.to_string()),
                Err(_) => flowed.ended.push("its reader panicked".to_owned()),
            }
        }
        flowed.open_for = open_for.into_iter().min().unwrap_or_default();
        flowed.bytes = self.shared.bytes.load(Ordering::SeqCst);
        flowed
    }
}

/// Asks for a stream, and reads its head.
fn open(address: SocketAddr) -> Result<BufReader<TcpStream>> {
    let mut socket = TcpStream::connect(address).context(address)?;
    socket.set_read_timeout(Some(PATIENCE)).context("read timeout")?;
    socket.write_all(format!("GET {PATH} HTTP/1.1\r\nhost: example.com\r\n\r\n").as_bytes()).context("a stream's request")?;
    let mut stream = BufReader::new(socket);
    let mut status = String::new();
    stream.read_line(&mut status).context("a stream's head")?;
    if !status.starts_with("HTTP/1.1 200 ") {
        return Err(Error::new(format!("a stream was answered with {status:?}")));
    }
    let mut line = status;
    while !line.trim_end().is_empty() {
        line.clear();
        stream.read_line(&mut line).context("a stream's head")?;
    }
    Ok(stream)
}

impl Shared {
    /// To the first byte that comes after it is told to end.
    fn read(&self, mut stream: BufReader<TcpStream>) -> Result<()> {
        let began = Instant::now();
        let mut bytes = [0; 1024];
        loop {
            let done = self.done.load(Ordering::SeqCst);
            let count = stream.read(&mut bytes).context(format!("a stream, after {} s", began.elapsed().as_secs()))?;
            if count == 0 {
                return Err(Error::new(format!("a stream ended after {} s", began.elapsed().as_secs())));
            }
            // With its framing: whoever wants to know how much it was wants to know whether it was something.
            self.bytes.fetch_add(count as u64, Ordering::SeqCst);
            if done {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use plugway_harness::upstream::Upstream;

    use super::*;

    #[test]
    fn streams_flow_to_the_end() {
        let upstream = Upstream::plain("up").unwrap();
        let flowed = Streams::open(upstream.address()).unwrap().end();
        assert_eq!((flowed.streams, flowed.ended.len()), (STREAMS, 0));
        assert!(flowed.bytes >= STREAMS && flowed.open_for < Duration::from_secs(60), "{flowed:?}");
    }

    #[test]
    fn one_that_ends_is_told_of() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for _ in 0..STREAMS {
                let (mut socket, _) = listener.accept().unwrap();
                let mut head = [0; 1024];
                assert!(socket.read(&mut head).unwrap() > 0);
                socket.write_all(b"HTTP/1.1 200 OK\r\nx-some: thing\r\n\r\n").unwrap();
            }
        });
        let flowed = Streams::open(address).unwrap().end();
        server.join().unwrap();
        assert_eq!(flowed.ended.len() as u64, STREAMS, "{flowed:?}");
        assert!(flowed.ended.iter().all(|why| why.contains("ended after")), "{flowed:?}");
    }

    #[test]
    fn what_is_no_stream_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap());
        assert!(Streams::open(address).is_err());
    }
}
