//! What the thread does: batches of spans as they come, metrics by the clock, each again after a pause where the receiver may
//! take it then.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prometheus::proto::MetricFamily;
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::client::{Client, Refusal, Signal};
use super::exemplars::Exemplars;
use super::gathering::Gathered;
use super::resource::resource;
use super::{Settings, metrics, spans};
use crate::telemetry::Telemetry;
use crate::trace::Story;

/// Stories sent together at most.
const BATCH: usize = 256;
/// How long a story waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How often it is looked for others: waking for each of them would cost more than its spans.
const LOOK: Duration = Duration::from_millis(100);
/// Pauses before something is sent again; then it is lost. The queue fills meanwhile, and is what is bounded.
const PAUSES: [Duration; 4] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// Longest pause a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

struct Sending<'a> {
    settings: &'a Settings,
    client: Client<'a>,
    telemetry: Arc<Telemetry>,
    resource: Resource,
    exemplars: Exemplars,
    /// Whether the gateway ends: nothing is tried a second time then.
    ending: watch::Receiver<bool>,
}

/// Where stories come from, and metrics if they are sent.
type Sources = (mpsc::Receiver<Arc<Story>>, Option<Gathered>);

/// Sends until every sender of stories is gone and nothing is gathered any more, and then what is left.
pub(super) async fn run(settings: Settings, telemetry: Arc<Telemetry>, (stories, gathered): Sources, ending: watch::Receiver<bool>) {
    let (client, resource) = (Client::new(&settings), resource(&settings.resource));
    let sending = Sending { settings: &settings, client, telemetry, resource, exemplars: Exemplars::default(), ending };
    let metrics = async {
        if let Some(gathered) = gathered {
            sending.metrics(gathered).await;
        }
    };
    tokio::join!(sending.traces(stories), metrics);
}

impl Sending<'_> {
    async fn traces(&self, mut stories: mpsc::Receiver<Arc<Story>>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let Some(first) = stories.recv().await else { break };
            batch.push(first);
            let deadline = Instant::now() + GATHER;
            loop {
                let room = BATCH - batch.len();
                batch.extend(std::iter::from_fn(|| stories.try_recv().ok()).take(room));
                if batch.len() == BATCH || stories.is_closed() || Instant::now() >= deadline {
                    break;
                }
                sleep(LOOK).await;
            }
            self.send_spans(&batch).await;
            batch.clear();
            self.client.reap();
        }
    }

    async fn send_spans(&self, batch: &[Arc<Story>]) {
        // Exemplars are of metrics: where none are sent nobody takes them.
        if self.settings.metrics_interval.is_some() {
            batch.iter().for_each(|story| self.exemplars.keep(story));
        }
        if !self.settings.traces {
            return;
        }
        for (request, count) in spans::requests(batch, &self.resource) {
            self.send_some_spans(&request, count).await;
        }
    }

    async fn send_some_spans(&self, request: &ExportTraceServiceRequest, count: u64) {
        match self.deliver(Signal::Traces, request).await {
            Ok(answer) => {
                let partial = ExportTraceServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
                let rejected = partial.as_ref().map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0)).min(count);
                if let Some(partial) = partial.filter(|_| rejected > 0) {
                    tracing::warn!(rejected, why = partial.error_message, "The OTLP receiver did not take every span");
                }
                self.telemetry.spans_sent(count - rejected);
                self.telemetry.spans_lost(rejected);
            }
            Err(refusal) => {
                self.telemetry.spans_lost(count);
                self.lost("Spans", &refusal);
            }
        }
    }

    async fn metrics(&self, mut gathered: Gathered) {
        while gathered.changed().await.is_ok() {
            let families = Arc::clone(&gathered.borrow_and_update());
            self.send_metrics(&families).await;
        }
    }

    async fn send_metrics(&self, families: &[MetricFamily]) {
        let requests = metrics::requests(families, self.telemetry.began(), &self.resource, &self.exemplars);
        self.exemplars.make_room();
        for request in requests {
            match self.deliver(Signal::Metrics, &request).await {
                Ok(answer) => {
                    let partial = ExportMetricsServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
                    if let Some(partial) = partial.filter(|partial| partial.rejected_data_points > 0) {
                        let (rejected, why) = (partial.rejected_data_points, partial.error_message);
                        tracing::warn!(rejected, why, "The OTLP receiver did not take every metric");
                    }
                }
                Err(refusal) => {
                    self.lost("Metrics", &refusal);
                    // Counts go on: the next push has all of it. Who does not take one now takes no other.
                    if refusal.again.is_some() {
                        return;
                    }
                }
            }
        }
    }

    /// Sends, and again after a pause where that may help.
    async fn deliver(&self, signal: Signal, message: &impl Message) -> Result<bytes::Bytes, Refusal> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let refusal = match self.client.send(signal, message).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            self.telemetry.otlp_failed();
            let (Some(wanted), Some(pause)) = (refusal.again, pauses.next()) else { return Err(refusal) };
            // So that gateways that began together do not come back together.
            let pause = pause.mul_f64(fastrand::f64().mul_add(0.5, 0.75)).max(wanted.min(LONGEST_PAUSE));
            let mut ending = self.ending.clone();
            tokio::select! {
                () = sleep(pause) => {}
                ended = ending.wait_for(|ended| *ended) => {
                    drop(ended);
                    return Err(refusal);
                }
            }
        }
    }

    fn lost(&self, what: &str, refusal: &Refusal) {
        let receiver = self.settings.receiver.endpoints.first().map_or("", |endpoint| &endpoint.url);
        tracing::warn!(receiver, why = refusal.why, "{what} could not be sent by OTLP");
    }
}
