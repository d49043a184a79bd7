//! Metrics, gathered by the clock on the thread that begins it, for another one to send.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use prometheus::proto::MetricFamily;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::telemetry::Telemetry;

/// What was gathered last. What is gathered before that was taken is in its stead: counts go on.
pub(super) type Gathered = watch::Receiver<Arc<[MetricFamily]>>;

/// Gathers until it is dropped.
#[derive(Debug)]
pub(super) struct Gathering(Rc<Gatherer>);

#[derive(Debug)]
struct Gatherer {
    telemetry: Arc<Telemetry>,
    gathered: watch::Sender<Arc<[MetricFamily]>>,
}

impl Gathering {
    pub(super) fn start(interval: Duration, telemetry: Arc<Telemetry>) -> (Self, Gathered) {
        let (gathered, receiver) = watch::channel(Arc::from([]));
        let gatherer = Rc::new(Gatherer { telemetry, gathered });
        let ticked = Rc::downgrade(&gatherer);
        tokio::task::spawn_local(async move {
            let mut ticks = interval_at(Instant::now() + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(gatherer) = ticked.upgrade() else { return };
                gatherer.gather();
            }
        });
        (Self(gatherer), receiver)
    }

    /// Gathers now, for the last time.
    pub(super) fn gather(self) {
        self.0.gather();
    }
}

impl Gatherer {
    fn gather(&self) {
        self.gathered.send_replace(self.telemetry.gather_by_answer().into());
    }
}
