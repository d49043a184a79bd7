//! A body of any length costs a bounded amount of memory, however slowly it is read: back-pressure reaches its source.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use http::Method;
use http_body_util::BodyExt;
use plugway_harness::body;
use plugway_harness::client::{Client, get, request};
use plugway_harness::gateway::Gateway;

use crate::common::{Scripted, one_upstream, read_head, run, start, start_tls, wire};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
/// How much the gateway may grow while a body is on its way.
const GROWTH: u64 = 4 * MIB;
/// What the store takes when it first writes is its own matter.
const NO_STORE: &str = "[store]\nenabled = false\n";
/// More than both sockets' buffers of two connections hold.
const BUFFERED: u64 = 64 * MIB;
/// A prime, so that nothing that is lost or doubled in blocks stays unseen.
const PERIOD: usize = 65_521;

/// Bytes that say where they belong.
struct Letters(Vec<u8>);

impl Letters {
    fn new() -> Self {
        let period = (0..PERIOD).map(|at| (at % 251) as u8);
        Self(period.clone().chain(period).collect())
    }

    /// Up to one period of them from this place on.
    fn from(&self, at: u64) -> &[u8] {
        let at = (at % PERIOD as u64) as usize;
        &self.0[at..at + PERIOD]
    }

    /// Writes `length` of them, and counts.
    fn write(&self, stream: &mut TcpStream, length: u64, written: &AtomicU64) {
        let mut at = 0;
        while at < length {
            let piece = self.from(at);
            let piece = &piece[..piece.len().min((length - at) as usize)];
            stream.write_all(piece).unwrap();
            at += piece.len() as u64;
            written.store(at, SeqCst);
        }
    }

    /// Reads `length` of them; `each` is called every few MiB.
    fn read(&self, stream: &mut impl Read, length: u64, mut each: impl FnMut()) {
        let mut block = vec![0; PERIOD];
        let (mut at, mut next) = (0, 0);
        while at < length {
            let read = stream.read(&mut block).unwrap();
            assert!(read > 0, "ended at {at}");
            assert!(block[..read] == self.from(at)[..read], "other bytes at {at}");
            at += read as u64;
            if at >= next {
                each();
                next += 8 * MIB;
            }
        }
    }
}

/// Waits until nothing more is written, since nobody reads; what was written by then is in buffers.
fn stalled(written: &AtomicU64) -> u64 {
    let (mut last, mut since) = (0, Instant::now());
    let deadline = since + Duration::from_secs(20);
    while last == 0 || since.elapsed() < Duration::from_millis(300) {
        assert!(Instant::now() < deadline, "the sender does not stop");
        std::thread::sleep(Duration::from_millis(5));
        let now = written.load(SeqCst);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// Highest growth of the gateway since the beginning.
struct Memory<'g> {
    gateway: &'g Gateway,
    before: u64,
    highest: u64,
}

impl<'g> Memory<'g> {
    /// To be called after a small body each way, so that what every one of them needs is there.
    fn of(gateway: &'g Gateway) -> Self {
        let before = gateway.own_bytes().unwrap();
        Self { gateway, before, highest: before }
    }

    fn look(&mut self) {
        self.highest = self.highest.max(self.gateway.own_bytes().unwrap());
    }

    fn check(mut self) {
        self.look();
        let growth = self.highest - self.before;
        assert!(growth < GROWTH, "the gateway grew by {} KiB from {} KiB", growth / 1024, self.before / 1024);
    }
}

/// The small bodies that go first.
const WARM: u64 = MIB;

/// A client that has sent and read the small ones.
fn warmed(gateway: &Gateway) -> TcpStream {
    let mut client = TcpStream::connect(gateway.address("web").unwrap()).unwrap();
    client.write_all(&wire(&format!("POST /warm HTTP/1.1\nhost: a\ncontent-length: {WARM}\n\n"))).unwrap();
    Letters::new().write(&mut client, WARM, &AtomicU64::new(0));
    assert!(read_head(&mut client).unwrap().starts_with("HTTP/1.1 200 "));
    Letters::new().read(&mut client, WARM, || ());
    client
}

/// Reads the small body and answers with one; `false` for another request.
fn warm(stream: &mut TcpStream, head: &str) -> bool {
    if !head.contains("/warm") {
        return false;
    }
    std::io::copy(&mut stream.try_clone().unwrap().take(WARM), &mut std::io::sink()).unwrap();
    stream.write_all(&wire(&format!("HTTP/1.1 200 OK\ncontent-length: {WARM}\n\n"))).unwrap();
    Letters::new().write(stream, WARM, &AtomicU64::new(0));
    true
}

/// Sends that many letters.
fn source(length: u64, sent: &Arc<AtomicU64>) -> Scripted {
    let sent = Arc::clone(sent);
    Scripted::start(move |_, stream| {
        while let Some(head) = read_head(stream) {
            if !warm(stream, &head) {
                stream.write_all(&wire(&format!("HTTP/1.1 200 OK\ncontent-length: {length}\n\n"))).unwrap();
                Letters::new().write(stream, length, &sent);
            }
        }
    })
}

/// Waits for a word and reads a body: that many letters, or that many bytes of chunks and more that end with `end`.
fn sink(length: u64, end: &'static [u8]) -> (Scripted, mpsc::Sender<()>) {
    let (go, went) = mpsc::channel();
    let upstream = Scripted::start(move |_, stream| {
        while let Some(head) = read_head(stream) {
            if warm(stream, &head) {
                continue;
            }
            went.recv().unwrap();
            if end.is_empty() {
                Letters::new().read(stream, length, || ());
            } else {
                until_end(stream, length, end);
            }
            stream.write_all(&wire("HTTP/1.1 200 OK\ncontent-length: 0\n\n")).unwrap();
        }
    });
    (upstream, go)
}

/// Reads until the last bytes are these, and checks that there were enough before them.
fn until_end(stream: &mut TcpStream, length: u64, end: &[u8]) {
    let (mut block, mut tail, mut total) = (vec![0; 1 << 16], Vec::new(), 0);
    while tail != end {
        let read = stream.read(&mut block).unwrap();
        assert!(read > 0, "ended at {total}");
        total += read as u64;
        tail.extend_from_slice(&block[read.saturating_sub(end.len())..read]);
        tail.drain(..tail.len().saturating_sub(end.len()));
    }
    assert!(total >= length, "{total} bytes");
}

#[test]
fn a_gibibyte_down_to_a_slow_reader() {
    let sent = Arc::default();
    let upstream = source(GIB, &sent);
    let gateway = start(&one_upstream(&[upstream.url()], "", NO_STORE));
    let mut client = warmed(&gateway);
    let mut memory = Memory::of(&gateway);
    client.write_all(&wire("GET /body HTTP/1.1\nhost: a\n\n")).unwrap();
    let buffered = stalled(&sent);
    assert!(buffered < BUFFERED, "{buffered} bytes were taken though nobody read");
    memory.look();
    let head = read_head(&mut client).unwrap();
    assert!(head.contains(&format!("content-length: {GIB}\r\n")), "{head}");
    Letters::new().read(&mut client, GIB, || memory.look());
    memory.check();
}

#[test]
fn a_gibibyte_up_to_a_slow_upstream() {
    let (upstream, go) = sink(GIB, b"");
    let gateway = start(&one_upstream(&[upstream.url()], "", NO_STORE));
    let mut client = warmed(&gateway);
    let mut memory = Memory::of(&gateway);
    client.write_all(&wire(&format!("POST /body HTTP/1.1\nhost: a\ncontent-length: {GIB}\n\n"))).unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let (mut sending, counted) = (client.try_clone().unwrap(), Arc::clone(&sent));
    let sender = std::thread::spawn(move || Letters::new().write(&mut sending, GIB, &counted));
    let buffered = stalled(&sent);
    assert!(buffered < BUFFERED, "{buffered} bytes were taken though nobody read");
    go.send(()).unwrap();
    while !sender.is_finished() {
        memory.look();
        std::thread::sleep(Duration::from_millis(10));
    }
    sender.join().unwrap();
    assert!(read_head(&mut client).unwrap().starts_with("HTTP/1.1 200 "));
    memory.check();
}

#[test]
fn a_quarter_gibibyte_down_to_a_slow_reader_of_http2() {
    let length = GIB / 4;
    let sent = Arc::default();
    let upstream = source(length, &sent);
    let (gateway, authority) = start_tls(&one_upstream(&[upstream.url()], "", NO_STORE));
    run(async {
        let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2();
        let mut connection = client.connect().await.unwrap();
        let answer = connection.request(request(Method::POST, "/warm", body::pattern(WARM, true)).unwrap()).await.unwrap();
        assert_eq!(answer.body.len() as u64, WARM);
        let mut memory = Memory::of(&gateway);
        let mut body = connection.send(get("/body").unwrap()).await.unwrap().into_body();
        let buffered = stalled(&sent);
        assert!(buffered < BUFFERED, "{buffered} bytes were taken though nobody read");
        let letters = Letters::new();
        let (mut at, mut frames) = (0, 0);
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data == letters.from(at)[..data.len()], "other bytes at {at}");
            at += data.len() as u64;
            frames += 1;
            if frames % 512 == 0 {
                memory.look();
            }
        }
        assert_eq!(at, length);
        memory.check();
    });
}

#[test]
fn a_quarter_gibibyte_up_from_http2_to_a_slow_upstream() {
    let length = GIB / 4;
    let (upstream, go) = sink(length, b"\r\n0\r\n\r\n");
    let (gateway, authority) = start_tls(&one_upstream(&[upstream.url()], "", NO_STORE));
    run(async {
        let client = Client::https(gateway.address("tls").unwrap(), "example.com", &authority).http2();
        let mut connection = client.connect().await.unwrap();
        let answer = connection.request(request(Method::POST, "/warm", body::pattern(WARM, true)).unwrap()).await.unwrap();
        assert_eq!(answer.body.len() as u64, WARM);
        let mut memory = Memory::of(&gateway);
        let answer = connection.request(request(Method::POST, "/body", body::pattern(length, false)).unwrap());
        let mut answer = std::pin::pin!(answer);
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let (mut settled, mut busy) = (0, Duration::ZERO);
        let mut waiting = Some(go);
        let answer = loop {
            tokio::select! {
                answer = answer.as_mut() => break answer.unwrap(),
                _ = ticks.tick() => memory.look(),
            }
            // The gateway takes no more when it has next to nothing to do for a while; its housekeeping goes on.
            let now = gateway.cpu_time().unwrap();
            settled = if now - busy < Duration::from_millis(1) { settled + 1 } else { 0 };
            busy = now;
            if settled > 30
                && let Some(go) = waiting.take()
            {
                go.send(()).unwrap();
            }
        };
        assert!(waiting.is_none(), "nobody had to wait");
        assert_eq!(answer.status, 200);
        memory.check();
    });
}
