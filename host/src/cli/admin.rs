//! Asking a running gateway's admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The longest a page may take: a year's report is one.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address as people write it: with or without `http://`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    bare.parse().map_err(|_| format!("`{text}` is no address of an admin listener: write one such as 127.0.0.1:9901"))
}

/// The page at that path.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    match ask(address, Method::GET, path).await? {
        (status, text) if status.is_success() => Ok(text),
        (status, text) => Err(format!("the gateway at {address} answered {status}: {}", text.trim_end())),
    }
}

/// What is answered there to a page that is asked for, or to something that is to be done.
pub(super) async fn ask(address: SocketAddr, method: Method, path: &str) -> Result<(StatusCode, String), String> {
    match tokio::time::timeout(PATIENCE, exchange(address, method, path)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("no gateway answers at {address}: {error}; [admin] address says where it listens")),
        Err(_) => Err(format!("the gateway at {address} did not answer within {PATIENCE:?}")),
    }
}

async fn exchange(address: SocketAddr, method: Method, path: &str) -> Result<(StatusCode, String), String> {
    let text = |error: hyper::Error| error.to_string();
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let request = Request::builder().method(method).uri(path).header(header::HOST, address.to_string()).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(text)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(text)?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(answered, connection);
    tokio::select! {
        answer = &mut answered => answer,
        // It ends with the last byte of the body, which may be here before anybody has read it.
        ended = &mut connection => { ended.map_err(text)?; answered.await }
    }
}
