//! That proxies did the work they are measured for. The backend refuses every request without its marks (`backend.conf`); here
//! is what it cannot see.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use plugway_harness::client::{Answer, Client, get};
use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use super::{Entry, Scenario};
use crate::bench::stage::Stage;
use crate::bench::subject::{Subject, TENANT};
use crate::bench::wait_for;

/// Longest wait for the first right answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A value that must be there, whatever it is: for a client on loopback Envoy forwards an address of the machine.
const ANY: &str = "any";

/// Asks through the proxy what reaches the backend: each plugin's mark and no other, the tenant, who the client is.
pub(in crate::bench) fn marks(stage: &Stage, subject: &Subject) -> Result<()> {
    let host = subject.address().to_string();
    let client = if stage.scenario().tls_in {
        Client::https(subject.address(), host, stage.authority())
    } else {
        Client::http(subject.address(), host)
    };
    let client = if stage.scenario().http2 { client.http2() } else { client };
    let answer = wait_for(async {
        let mut request = get(&stage.scenario().echo_path())?;
        request.headers_mut().insert("x-tenant-id", http::HeaderValue::from_static(TENANT));
        if let Some(token) = subject.authorization() {
            request.headers_mut().insert("authorization", http::HeaderValue::from_str(token).context("the token")?);
        }
        client.connect().await?.request(request).await
    })?;
    seen(&answer, &subject.entry(), stage.scenario()).map_err(|error| Error::new(format!("{}: {error}", subject.name())))
}

/// Waits until the proxy serves: some accept connections before they have read their routes.
pub(in crate::bench) fn until_serving(stage: &Stage, subject: &Subject) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match marks(stage, subject) {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            done => return done,
        }
    }
}

fn seen(answer: &Answer, entry: &Entry, scenario: &Scenario) -> Result<()> {
    let text = answer.text();
    if answer.status != http::StatusCode::OK {
        return Err(Error::new(format!("the check was answered with {}: {text:.200}", answer.status)));
    }
    let wanted = (1..=10).map(|number| (format!("x-plugin-{number}"), if number <= entry.plugins { entry.mark() } else { "" }));
    let others = [("x-tenant-id", TENANT), ("x-forwarded-proto", scenario.scheme()), ("x-forwarded-for", ANY)];
    for (name, value) in wanted.chain(others.map(|(name, value)| (name.to_owned(), value))) {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        let sent = line.context(format!("the backend says nothing of {name}: {text:.200}"))?.trim();
        let fits = if value == ANY { !sent.is_empty() } else { sent == value };
        if !fits {
            return Err(Error::new(format!("the backend got {name} {sent:?}, not {value:?}")));
        }
    }
    Ok(())
}

/// Hooks on a request's way in.
const IN: [&str; 4] = ["authorizer", "request-filter", "router", "forwarder"];

/// What plugway counted so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    requests: f64,
    hooks: f64,
}

/// plugway's counters when nothing is under way; none for other proxies.
pub(super) fn hooks(subject: &Subject) -> Result<Option<Counted>> {
    let Some(admin) = subject.admin()? else { return Ok(None) };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = metrics(admin)?;
        let (counted, observed) = (counted(&text), sum(&text, "plugway_plugin_requests_total", ""));
        let is_over = sum(&text, "plugway_requests_in_flight", "") == 0.0;
        // `metrics` is told of requests in batches, after they are over.
        if is_over && (!subject.entry().observes() || observed == counted.requests) {
            return Ok(Some(counted));
        }
        if Instant::now() >= deadline {
            return Err(Error::new(match is_over {
                true => format!("`metrics` counts {observed} of {} requests {PATIENCE:?} after the load ended", counted.requests),
                false => format!("requests are still under way {PATIENCE:?} after the load ended"),
            }));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metrics(admin: SocketAddr) -> Result<String> {
    Ok(wait_for(Client::http(admin, "admin").get("/metrics"))?.text())
}

/// What plugway's requests and attempts failed for, as it counts them; nothing of other proxies.
pub(super) fn faults(subject: &Subject) -> String {
    let Ok(Some(admin)) = subject.admin() else { return String::new() };
    let text = metrics(admin).unwrap_or_default();
    let is_told = |line: &&str| line.starts_with("plugway_faults_total{") || line.starts_with("plugway_upstream_attempts_total{");
    text.lines().filter(is_told).filter(|line| !line.ends_with(" 0")).map(|line| format!("{line}\n")).collect()
}

/// The sum of a metric's series that have this label.
fn sum(metrics: &str, family: &str, label: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(&format!("{family}{{")) && line.contains(label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn counted(metrics: &str) -> Counted {
    Counted {
        requests: sum(metrics, "plugway_requests_total", "route=\"bench"),
        hooks: IN.iter().map(|hook| sum(metrics, "plugway_hook_calls_total", &format!("hook=\"{hook}\""))).sum(),
    }
}

impl Counted {
    pub(super) fn since(self, before: Self) -> Self {
        Self { requests: self.requests - before.requests, hooks: self.hooks - before.hooks }
    }

    /// Hook calls are `each` for every request, and requests what the load generators counted. Those drop what is under way at the
    /// end of each of their two runs, so there may be that many more.
    pub(super) fn agree(self, each: usize, answered: f64, scenario: &Scenario) -> Result<()> {
        let under_way = 2.0 * f64::from(scenario.connections * scenario.streams);
        let Self { requests, hooks } = self;
        let unanswered = hooks - requests * each as f64;
        if requests < answered || requests > answered + under_way {
            return Err(Error::new(format!("plugway counted {requests} requests, the load generators {answered}")));
        }
        // A forwarder that keeps its plans is asked once for each endpoint, and a warm-up does not come to all of many.
        if unanswered < 0.0 || unanswered > under_way * each as f64 + scenario.endpoints as f64 {
            return Err(Error::new(format!("{hooks} hook calls for {requests} requests, not {each} for each")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::SMALL;

    #[test]
    fn counters_are_summed_over_their_labels() {
        let text = "plugway_requests_total{route=\"bench\",status=\"200\"} 7\nplugway_requests_total{route=\"none\",status=\"404\"} 2\n\
                    plugway_hook_calls_total{plugin=\"tag-1\",hook=\"request-filter\"} 7\nplugway_hook_calls_total{plugin=\"tag-2\",hook=\"request-filter\"} 7\n\
                    plugway_hook_calls_total{plugin=\"tag-2\",hook=\"configure\"} 1\n";
        assert_eq!(counted(text), Counted { requests: 7.0, hooks: 14.0 });
    }

    #[test]
    fn every_request_went_through_every_plugin() {
        let agree = |requests, hooks, answered| Counted { requests, hooks }.agree(5, answered, &SMALL).is_ok();
        assert!(agree(1_000.0, 5_000.0, 1_000.0));
        assert!(agree(1_010.0, 5_055.0, 1_000.0), "some were under way when the load ended");
        assert!(!agree(1_000.0, 4_999.0, 1_000.0), "a hook was left out");
        assert!(!agree(999.0, 4_995.0, 1_000.0), "an answer came from elsewhere");
        assert!(!agree(2_000.0, 10_000.0, 1_000.0));
        let many = Scenario { endpoints: 100, ..SMALL };
        let agree = |hooks| Counted { requests: 1_000.0, hooks }.agree(2, 1_000.0, &many).is_ok();
        assert!(agree(2_128.0 + 100.0) && !agree(2_128.0 + 101.0), "the plan of each endpoint is asked for once");
    }
}
