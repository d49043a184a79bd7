//! The proxy to compare with: hyper's server, hyper's client and nothing between, save the headers that plugway adds by
//! default. Like plugway it is one thread, keeps its upstream connections in a list, and lets the request's own task drive
//! the one it uses. It matches no route, counts nothing, has no limit and no timeout, and takes every answer for good.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use http::header::{FORWARDED, HOST, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use plugway::http::MAX_BUFFER;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

/// Its thread's name.
pub(crate) const THREAD: &str = "bare-proxy";

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What all connections share.
struct Proxy {
    upstream: SocketAddr,
    kept: RefCell<Vec<Upstream>>,
}

struct Upstream {
    connection: Connection<TokioIo<TcpStream>, Incoming>,
    sender: SendRequest<Incoming>,
}

/// What follows from a client's connection.
struct Client {
    peer: HeaderValue,
    /// Made by its first request.
    forwarded: RefCell<Option<HeaderValue>>,
    address: IpAddr,
}

/// Starts it. It runs as long as the program.
pub(crate) fn start(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let run = move || {
        let runtime = Builder::new_current_thread().enable_all().event_interval(31).build_local(LocalOptions::default()).unwrap();
        runtime.block_on(serve(listener, upstream));
    };
    std::thread::Builder::new().name(THREAD.to_owned()).spawn(run).unwrap();
    address
}

async fn serve(listener: TcpListener, upstream: SocketAddr) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let proxy = Rc::new(Proxy { upstream, kept: RefCell::default() });
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let address = peer.ip();
        let client = Rc::new(Client { peer: address.to_string().parse().unwrap(), forwarded: RefCell::default(), address });
        let proxy = Rc::clone(&proxy);
        spawn_local(async move {
            let service = service_fn(|request| forward(Rc::clone(&proxy), Rc::clone(&client), request));
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_BUFFER);
            server.serve_connection(TokioIo::new(stream), service).await.unwrap();
        });
    }
}

async fn forward(proxy: Rc<Proxy>, client: Rc<Client>, request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    let (mut parts, body) = request.into_parts();
    let id = request_id();
    add_headers(&mut parts.headers, &client, &id);
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = parts.uri;
    *outgoing.headers_mut() = parts.headers;

    let kept = proxy.kept.borrow_mut().pop();
    let mut upstream = match kept {
        Some(kept) => kept,
        None => connect(proxy.upstream).await,
    };
    let mut answer = pin!(upstream.sender.try_send_request(outgoing));
    let connection = &mut upstream.connection;
    let mut response = poll_fn(|cx| {
        assert!(Pin::new(&mut *connection).poll(cx).is_pending(), "the upstream closed the connection");
        answer.as_mut().poll(cx).map(|answer| answer.map_err(|error| error.into_error()).unwrap())
    })
    .await;
    // The test's upstream writes head and body in one piece, so the connection is through with both.
    assert!(upstream.sender.is_ready(), "the upstream's answer came in pieces");
    proxy.kept.borrow_mut().push(upstream);
    response.headers_mut().insert(X_REQUEST_ID, id);
    Ok(response)
}

async fn connect(upstream: SocketAddr) -> Upstream {
    let stream = TcpStream::connect(upstream).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let handshake = hyper::client::conn::http1::Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(stream));
    let (sender, mut connection) = handshake.await.unwrap();
    poll_fn(|cx| {
        assert!(Pin::new(&mut connection).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    Upstream { connection, sender }
}

fn add_headers(headers: &mut HeaderMap, client: &Client, id: &HeaderValue) {
    let host = headers.get(HOST).unwrap().clone();
    let mut known = client.forwarded.borrow_mut();
    let forwarded = known.get_or_insert_with(|| {
        let (address, host) = (client.address, host.to_str().unwrap());
        format!("for={address};host={host};proto=http").parse().unwrap()
    });
    headers.append(VIA, HeaderValue::from_static("1.1 plugway"));
    headers.insert(X_FORWARDED_FOR, client.peer.clone());
    headers.insert(FORWARDED, forwarded.clone());
    headers.insert(X_FORWARDED_HOST, host);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(X_REQUEST_ID, id.clone());
    headers.insert(TRACEPARENT, trace_parent());
}

fn request_id() -> HeaderValue {
    let mut id = String::with_capacity(32);
    write!(id, "{:032x}", fastrand::u128(..)).unwrap();
    id.try_into().unwrap()
}

fn trace_parent() -> HeaderValue {
    let mut parent = String::with_capacity(55);
    write!(parent, "00-{:032x}-{:016x}-00", fastrand::u128(1..), fastrand::u64(1..)).unwrap();
    parent.try_into().unwrap()
}
