//! A running gateway, asked by its admin listener.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::cli::print;
use plugway::config;

/// Which gateway.
#[derive(Debug, Args)]
pub(super) struct Running {
    /// The configuration the gateway runs with, which says where its admin listener is.
    #[arg(long, value_name = "FILE", default_value = "plugway.toml")]
    config: PathBuf,
    /// The admin listener, instead of the one in the configuration.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
}

impl Running {
    /// What it answers.
    pub(super) fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Value), String> {
        ask(self.admin()?, method, path)
    }

    /// Has it do something with a plugin, and prints what is different then. Whether it did.
    pub(super) fn order(&self, path: &str) -> Result<bool, String> {
        let (status, body) = self.ask(Method::POST, path)?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        if !status.is_success() {
            eprintln!("{}: {}", text("title"), text("detail").trim_end());
            return Ok(false);
        }
        let changes = body.get("changes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let changes: Vec<_> = changes.collect();
        let what = if changes.is_empty() { "it serves already".to_owned() } else { changes.join("\n") };
        print(&format!("{what}\n"))?;
        Ok(true)
    }

    fn admin(&self) -> Result<SocketAddr, String> {
        if let Some(address) = self.admin {
            return Ok(address);
        }
        let loaded = config::load(&self.config).map_err(|rejected| rejected.to_string())?;
        loaded.config.admin.ok_or_else(|| format!("{} has no admin listener, which takes the order", self.config.display()))
    }
}

/// Asks an admin listener for a page, or to do something.
fn ask(admin: SocketAddr, method: Method, path: &str) -> Result<(StatusCode, Value), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let stream = TcpStream::connect(admin).await.map_err(|error| format!("no gateway answers at {admin}: {error}"))?;
        let failed = |error: hyper::Error| format!("the gateway at {admin} did not answer: {error}");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let request = Request::builder().method(method).uri(path).header(http::header::HOST, admin.to_string()).body(Empty::<Bytes>::new());
        let request = request.map_err(|error| format!("nothing can be asked for so: {error}"))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(failed)?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(failed)?.to_bytes();
            let body = serde_json::from_slice(&body).map_err(|_| format!("what answers at {admin} with {status} is no plugway"))?;
            Ok((status, body))
        };
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // It may end before its answer is looked at.
            _ = connection => answer.await,
        }
    })
}
