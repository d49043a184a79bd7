//! Requests of plugins' own to other servers: made on a thread of their own for all workers (`service`), held against the grant at every
//! hop (`place`, `address`), on connections of the upstreams or to hosts (`hosts`), and kept by the rules of HTTP (`cache`).

mod address;
mod cache;
mod fetch;
mod hosts;
mod message;
mod place;
mod service;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::config::model::HttpClientGrant;
use crate::telemetry::HttpClientCells;
use crate::upstream::Upstream;

pub use message::{AnswerSource, HttpError, IncomingResponse, OutgoingRequest};
pub use service::HttpService;

use message::absolute;
use service::Order;

/// What makes the requests of one plugin.
#[derive(Debug)]
pub struct HttpClient {
    granted: Arc<Granted>,
    orders: mpsc::Sender<Order>,
}

/// What one plugin may do.
#[derive(Debug)]
struct Granted {
    plugin: Box<str>,
    grant: HttpClientGrant,
    /// Those whose endpoints it may reach.
    upstreams: Vec<Arc<Upstream>>,
    cells: Arc<HttpClientCells>,
}

impl HttpClient {
    /// Whether a request there would be let go, by the rule each hop of one is held against, as far as that is known without looking up a
    /// name. Asks nobody.
    ///
    /// # Errors
    /// `NotAllowed` where the grant has not the place, `Invalid` where the URL is none that can be asked.
    pub fn may_ask(&self, url: &str) -> Result<(), HttpError> {
        let url = absolute(url).map_err(HttpError::Invalid)?;
        place::find(&self.granted.grant, &self.granted.upstreams, &url).map(drop)
    }

    /// Makes a request and waits for the whole answer.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn send(&self, request: OutgoingRequest) -> Result<IncomingResponse, HttpError> {
        let (answer, answered) = oneshot::channel();
        // A queue of thousands is as good as none: whoever asks later is served sooner.
        if self.orders.try_send(Order::Send(Arc::clone(&self.granted), Box::new(request), answer)).is_err() {
            return Err(HttpError::TooManyCalls);
        }
        // The thread ends only with the gateway.
        answered.await.unwrap_or_else(|_| Err(HttpError::NotConnected("the gateway is ending".to_owned())))
    }
}
