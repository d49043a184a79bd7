//! Traces and metrics on their way to a receiver by OTLP, over HTTP or gRPC, on a thread of its own. Workers hand over the
//! stories of sampled requests; what finds no room is dropped and counted, and a receiver that is slow or gone costs requests
//! nothing. Metrics are gathered on the control thread, as for `/metrics`: no other touches OpenTelemetry's SDK.

mod client;
mod exemplars;
mod gathering;
mod metrics;
mod parts;
mod resource;
mod sending;
mod spans;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

use crate::telemetry::Telemetry;
use crate::trace::Story;
use crate::upstream::Upstream;
use gathering::Gathering;

/// What is sent where. Everything in it was checked, and every file of it read.
#[derive(Debug)]
pub struct Settings {
    /// The receiver: one endpoint.
    pub receiver: Arc<Upstream>,
    /// Path of its URL, without `/` at the end.
    pub path: String,
    /// gRPC instead of HTTP.
    pub grpc: bool,
    /// Whether traces are sent.
    pub traces: bool,
    /// How often metrics are sent, if they are.
    pub metrics_interval: Option<Duration>,
    /// Stories that wait to be sent.
    pub max_queued: usize,
    /// Headers sent along.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Attributes of the resource, beside those every gateway has.
    pub resource: Vec<(String, String)>,
}

/// Where workers hand over stories of sampled requests.
pub type Stories = mpsc::Sender<Arc<Story>>;

/// The running thread. To be dropped when every sender of stories is gone: it waits for what is still to be sent.
#[derive(Debug)]
pub struct Exporter {
    gathering: Option<Gathering>,
    /// Says that nothing is tried a second time any more.
    ending: watch::Sender<bool>,
    ended: Receiver<()>,
}

/// How long the end waits for the last spans and metrics.
const LAST: Duration = Duration::from_secs(3);

impl Exporter {
    /// Starts the thread, and gathers metrics for it on this one.
    ///
    /// # Errors
    /// When the machine gives none.
    pub fn start(settings: Settings, telemetry: Arc<Telemetry>) -> std::io::Result<(Self, Stories)> {
        let (sender, stories) = mpsc::channel(settings.max_queued);
        let (end, ended) = sync_channel(1);
        let (ending, ends) = watch::channel(false);
        let (gathering, gathered) = settings.metrics_interval.map(|interval| Gathering::start(interval, Arc::clone(&telemetry))).unzip();
        std::thread::Builder::new().name("plugway-otlp".to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime.block_on(sending::run(settings, telemetry, (stories, gathered), ends)),
                Err(error) => tracing::error!(%error, "Nothing is sent by OTLP: its runtime could not be made"),
            }
            // Nobody may wait for it any more.
            let _ = end.send(());
        })?;
        Ok((Self { gathering, ending, ended }, sender))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Some(gathering) = self.gathering.take() {
            gathering.gather();
        }
        self.ending.send_replace(true);
        let _ = self.ended.recv_timeout(LAST);
    }
}
