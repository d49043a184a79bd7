//! Many good requests at once, over few connections: HTTP/2 needs no thousand sockets on either side.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use plugway_harness::ca::Authority;
use plugway_harness::tls;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Streams of one connection; the gateway's default is 128.
const STREAMS: usize = 100;

/// A client of one gateway.
pub(super) struct Client {
    address: SocketAddr,
    authority: Authority,
}

/// A set of requests that all get a 200.
#[derive(Clone, Copy)]
pub(super) struct Good {
    pub(super) count: usize,
    pub(super) path: &'static str,
}

impl Client {
    pub(super) fn new(address: SocketAddr, authority: Authority) -> Self {
        Self { address, authority }
    }

    /// Sends them all at once and reads every answer to its end.
    pub(super) async fn all(&self, good: Good) {
        let mut answers = tokio::task::JoinSet::new();
        for first in (0..good.count).step_by(STREAMS) {
            let sender = self.connect().await;
            for _ in first..good.count.min(first + STREAMS) {
                answers.spawn(answer(sender.clone(), good.path));
            }
        }
        let mut answered = 0;
        while let Some(status) = answers.join_next().await {
            assert_eq!(status.unwrap(), 200);
            answered += 1;
        }
        assert_eq!(answered, good.count);
    }

    async fn connect(&self) -> SendRequest<Empty<Bytes>> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let config = tls::client(&self.authority, &[tls::H2], None).unwrap();
        let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), socket).await.unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async { drop(connection.await) });
        sender
    }
}

async fn answer(mut sender: SendRequest<Empty<Bytes>>, path: &str) -> u16 {
    sender.ready().await.unwrap();
    let request = Request::get(format!("https://localhost{path}")).body(Empty::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(status != 200 || body.starts_with(b"{"), "the upstream's report is whole");
    status
}
