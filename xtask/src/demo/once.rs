//! `cargo xtask demo --once`: real requests, then every claim checked against what the upstreams and the gateway say.

use std::time::{Duration, Instant};

use plugway_harness::ca::Authority;
use plugway_harness::client::Client;
use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use super::report::Report;
use super::traffic::{self, KEYS, Outcome, ROUNDS};
use super::world::{HOST, INTERNAL, PARTNER_REQUESTS, World};
use crate::{metrics, workspace};

/// Observers hear of requests in batches; longest wait until the last batch is counted.
const SETTLE: Duration = Duration::from_secs(10);

/// Whether everything was as it should be.
pub(super) async fn run(world: &World) -> Result<bool> {
    let began = Instant::now();
    let outcome = traffic::send(world).await?;
    println!(
        "\n{} HTTPS requests ({} of them HTTP/2), {KEYS} keys {ROUNDS} times each, in {:.2} s",
        outcome.sent,
        outcome.http2,
        began.elapsed().as_secs_f64()
    );
    let mut report = Report::new();
    report.table(&outcome, world.endpoints());
    hash_router(&mut report, world, &outcome);
    oauth2(&mut report, &outcome);
    tls_forward(&mut report, &outcome);
    api_key(&mut report, &outcome);
    rate_limit(&mut report, &outcome);
    metrics_plugin(&mut report, world, &outcome).await?;
    both_legs(&mut report, world, &outcome).await?;
    stored(&mut report, world, &outcome).await?;
    Ok(report.is_good())
}

/// The gateway's own report of what it was just asked for.
async fn stored(report: &mut Report, world: &World, outcome: &Outcome) -> Result<()> {
    report.heading("monitoring store");
    let admin = world.gateway.admin()?.to_string();
    let ask = |words: &[&str]| {
        let output = std::process::Command::new(&world.binary).args(["report", "--since", "1h", "--admin", &admin]).args(words).output();
        let output = output.context(world.binary.display())?;
        if output.status.success() { Ok(output.stdout) } else { Err(Error::new(String::from_utf8_lossy(&output.stderr))) }
    };
    let deadline = Instant::now() + SETTLE;
    let told = loop {
        let told: serde_json::Value = serde_json::from_slice(&ask(&["--format", "json"])?).context("report")?;
        let requests = told.pointer("/totals/requests").and_then(serde_json::Value::as_u64).unwrap_or_default();
        if requests == outcome.sent as u64 || Instant::now() > deadline {
            break requests;
        }
        // What workers counted is on its way for a second at most.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    report.claim(told == outcome.sent as u64, &format!("its report has {told} requests, {} were sent", outcome.sent));
    let folder = workspace::target_directory().join("demo");
    std::fs::create_dir_all(&folder).context(folder.display())?;
    let file = folder.join("report.html");
    let page = ask(&[])?;
    std::fs::write(&file, &page).context(file.display())?;
    let page = String::from_utf8_lossy(&page);
    let says = page.starts_with("<!doctype html>")
        && page.trim_end().ends_with("</html>")
        && page.contains(&format!("data-value=\"{}\"", outcome.sent));
    report.claim(says, &format!("target/demo/report.html is the page of it, {} KiB", page.len() / 1024));
    Ok(())
}

fn hash_router(report: &mut Report, world: &World, outcome: &Outcome) {
    report.heading("hash-router (key: path, hash: SHA-1, placement: Maglev)");
    report
        .claim(outcome.wandering == 0, &format!("each of {KEYS} keys always met one endpoint; {} requests met another", outcome.wandering));
    // With 200 keys on 3 equal endpoints a share is 66.7 with a standard deviation of 6.7: five of them are never reached
    // by a sound hash, and far exceeded by one that prefers an endpoint.
    let even = KEYS / world.orders.len();
    let spread: Vec<usize> = world.endpoints().map(|upstream| outcome.keys.get(upstream.name()).copied().unwrap_or_default()).collect();
    report.claim(
        spread.iter().all(|keys| keys.abs_diff(even) <= KEYS / 6),
        &format!("keys spread over all endpoints: {spread:?}, even would be {even}"),
    );
    let answered: u64 = world.endpoints().map(plugway_harness::upstream::Upstream::requests).sum();
    report.claim(answered == (KEYS * ROUNDS) as u64, &format!("the upstreams counted {answered} requests, each sent once"));
}

fn oauth2(report: &mut Report, outcome: &Outcome) {
    report.heading("oauth2 (ES256, JWKS from a file)");
    report.claim(outcome.allowed == KEYS * ROUNDS, &format!("{} requests with a good token allowed", outcome.allowed));
    for refusal in &outcome.refused {
        let holds = refusal.status == refusal.wanted && refusal.challenge.starts_with("Bearer");
        report.claim(holds, &format!("{}: {}, {}", refusal.what, refusal.status, refusal.challenge));
    }
}

fn tls_forward(report: &mut Report, outcome: &Outcome) {
    report.heading("tls-forward");
    let what = format!("{} requests reached their upstream over TLS for {INTERNAL}, with its x-demo header", outcome.forwarded);
    report.claim(outcome.forwarded == KEYS * ROUNDS, &what);
}

fn api_key(report: &mut Report, outcome: &Outcome) {
    report.heading("api-key");
    let named = format!("{} requests with a partner's key reached the upstream in the partner's name, without the key", outcome.named);
    report.claim(outcome.named == PARTNER_REQUESTS, &named);
    report.claim(outcome.without_key == 401, &format!("without a key: {}", outcome.without_key));
}

fn rate_limit(report: &mut Report, outcome: &Outcome) {
    report.heading("rate-limit");
    let passed = outcome.partner.iter().take_while(|status| **status == 200).count();
    let refused = outcome.partner.iter().skip(passed).filter(|status| **status == 429).count();
    let holds = passed == PARTNER_REQUESTS && passed + refused == outcome.partner.len();
    report.claim(holds, &format!("of {} requests of one partner {passed} passed, the other {refused} got 429", outcome.partner.len()));
}

async fn metrics_plugin(report: &mut Report, world: &World, outcome: &Outcome) -> Result<()> {
    report.heading("metrics");
    let deadline = Instant::now() + SETTLE;
    let count = |text: &str, labels: &[&str]| metrics::sum(text, "requests_total", &[&["plugin=\"metrics\""], labels].concat());
    let orders = (KEYS * ROUNDS + outcome.refused.len()) as f64;
    let sent = outcome.sent as f64;
    let mut text = metrics::read(&world.gateway).await?;
    while count(&text, &[]) < sent && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        text = metrics::read(&world.gateway).await?;
    }
    let (all, on_orders) = (count(&text, &[]), count(&text, &["route=\"orders\""]));
    report.claim(equal(all, sent), &format!("its counters at /metrics saw {all} of {sent} requests"));
    report.claim(equal(on_orders, orders), &format!("{on_orders} of them on the route orders"));
    Ok(())
}

async fn both_legs(report: &mut Report, world: &World, outcome: &Outcome) -> Result<()> {
    report.heading("TLS on both legs");
    let gateway = world.gateway.address("web")?;
    report.claim(outcome.certificate.is_some(), &format!("the client verified the gateway's certificate for {HOST} against the demo's CA"));
    let elsewhere = Authority::new("a CA that signed nothing")?;
    let refused = Client::https(gateway, HOST, &elsewhere).get("/hello").await;
    report.claim(refused.is_err(), "a client that trusts another CA refuses the gateway");
    let failed = world.stranger.handshakes_failed();
    let holds = outcome.stranger == 502 && failed > 0 && world.stranger.requests() == 0;
    report.claim(holds, &format!("an upstream with a certificate of another CA got no request, the client {}", outcome.stranger));
    let plain = format!("the plain upstream answered {} requests on a route without plugins of its own", outcome.hello);
    report.claim(outcome.hello == 20 && world.hello.requests() == (20 + PARTNER_REQUESTS) as u64, &plain);
    Ok(())
}

/// Counters are whole numbers far below 2^53, where a float holds them exactly.
fn equal(left: f64, right: f64) -> bool {
    (left - right).abs() < 0.5
}
