//! The requests of `demo --once`, and what came back.

use std::collections::BTreeMap;

use http::{HeaderValue, header};
use plugway_harness::client::{Answer, Client, Connection, get, reported};
use plugway_harness::error::Context;
use plugway_harness::{Error, Result};
use serde_json::Value;

use super::world::{HOST, KEY, PARTNER, PARTNER_REQUESTS, World};
use crate::token::SCOPE;

/// Different keys, and how often each is asked for.
pub(super) const KEYS: usize = 200;
pub(super) const ROUNDS: usize = 3;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Requests each upstream answered, by its name.
    pub(super) by_upstream: BTreeMap<String, usize>,
    /// Keys each upstream got.
    pub(super) keys: BTreeMap<String, usize>,
    /// Keys that met more than one upstream.
    pub(super) wandering: usize,
    /// Orders that were answered with 200.
    pub(super) allowed: usize,
    /// Orders upstreams that saw the server name, header and TLS that tls-forward asks for.
    pub(super) forwarded: usize,
    /// What refused requests got: what was wrong with them, the status, the challenge.
    pub(super) refused: Vec<Refusal>,
    /// Answers of the plain upstream.
    pub(super) hello: usize,
    /// Status of each request with a partner's key, in order.
    pub(super) partner: Vec<u16>,
    /// Those of them that reached the upstream in the partner's name, without the key.
    pub(super) named: usize,
    /// Status of a request for partners without a key.
    pub(super) without_key: u16,
    /// Status of a request for the upstream that has a certificate of another CA.
    pub(super) stranger: u16,
    /// SHA-256 of the certificate that the gateway showed to a client that trusts the demo's CA alone.
    pub(super) certificate: Option<String>,
    /// All requests sent.
    pub(super) sent: usize,
    /// Those over HTTP/2.
    pub(super) http2: usize,
}

/// One kind of request that must be refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) what: &'static str,
    pub(super) wanted: u16,
    pub(super) status: u16,
    pub(super) challenge: String,
}

/// Sends everything.
pub(super) async fn send(world: &World) -> Result<Outcome> {
    let client = Client::https(world.gateway.address("web")?, HOST, &world.ca);
    let mut outcome = Outcome::default();
    let mut homes: BTreeMap<usize, String> = BTreeMap::new();
    let token = world.provider.token("demo-client", SCOPE)?;
    for round in 0..ROUNDS {
        // Every round is a connection of its own, so that both workers may get some; the last speaks HTTP/2.
        let client = if round + 1 == ROUNDS { client.clone().http2() } else { client.clone() };
        let mut connection = client.connect().await?;
        outcome.certificate = connection.certificate().map(str::to_owned);
        for key in 0..KEYS {
            let answer = ask(&mut connection, &format!("/orders/{key}"), Some(&token)).await?;
            outcome.sent += 1;
            outcome.http2 += usize::from(answer.version == http::Version::HTTP_2);
            if answer.status != 200 {
                return Err(Error::new(format!("/orders/{key} got {}: {}", answer.status, answer.text())));
            }
            outcome.allowed += 1;
            let name = seen(&answer.json()?, &mut outcome)?;
            *outcome.by_upstream.entry(name.clone()).or_default() += 1;
            match homes.get(&key) {
                None => {
                    *outcome.keys.entry(name.clone()).or_default() += 1;
                    homes.insert(key, name);
                }
                Some(home) if *home != name => outcome.wandering += 1,
                Some(_) => {}
            }
        }
    }
    refusals(world, &client, &mut outcome).await?;
    let mut connection = client.connect().await?;
    for _ in 0..20 {
        let answer = ask(&mut connection, "/hello", None).await?;
        outcome.sent += 1;
        outcome.hello += usize::from(answer.status == 200 && answer.header("x-upstream") == Some("hello"));
    }
    partners(&mut connection, &mut outcome).await?;
    outcome.stranger = ask(&mut connection, "/stranger", None).await?.status.as_u16();
    outcome.sent += 1;
    Ok(outcome)
}

/// Checks what an orders upstream says reached it and returns its name.
fn seen(report: &Value, outcome: &mut Outcome) -> Result<String> {
    let forwarded = report.get("sni").and_then(Value::as_str) == Some(super::world::INTERNAL)
        && report.get("tls").and_then(Value::as_bool) == Some(true)
        && reported(report, "x-demo") == ["through tls-forward"];
    outcome.forwarded += usize::from(forwarded);
    report.get("upstream").and_then(Value::as_str).map(str::to_owned).context("the report names no upstream")
}

async fn refusals(world: &World, client: &Client<'_>, outcome: &mut Outcome) -> Result<()> {
    let good = world.provider.token("demo-client", SCOPE)?;
    let forged = crate::token::Provider::new()?.token("demo-client", SCOPE)?;
    let cases = [
        ("no token", 401, None),
        ("not a token", 401, Some("nonsense".to_owned())),
        ("a token signed by another key", 401, Some(forged)),
        ("a token cut short", 401, Some(good.get(..good.len() - 10).unwrap_or_default().to_owned())),
        ("an expired token", 401, Some(world.provider.expired("demo-client", SCOPE)?)),
        ("a token without the scope", 403, Some(world.provider.token("demo-client", "orders:write")?)),
    ];
    for (what, wanted, token) in cases {
        let mut connection = client.connect().await?;
        let answer = ask(&mut connection, "/orders/refused", token.as_deref()).await?;
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        outcome.refused.push(Refusal { what, wanted, status: answer.status.as_u16(), challenge });
        outcome.sent += 1;
    }
    Ok(())
}

/// More requests than a partner may make, and one of nobody.
async fn partners(connection: &mut Connection, outcome: &mut Outcome) -> Result<()> {
    for _ in 0..PARTNER_REQUESTS + 3 {
        let mut request = get("/partners")?;
        request.headers_mut().insert("x-api-key", HeaderValue::from_static(KEY));
        let answer = connection.request(request).await?;
        outcome.sent += 1;
        outcome.partner.push(answer.status.as_u16());
        if answer.status == 200 {
            let report = answer.json()?;
            let named = reported(&report, "x-consumer") == [PARTNER] && reported(&report, "x-api-key").is_empty();
            outcome.named += usize::from(named);
        }
    }
    outcome.without_key = ask(connection, "/partners", None).await?.status.as_u16();
    outcome.sent += 1;
    Ok(())
}

async fn ask(connection: &mut Connection, path: &str, token: Option<&str>) -> Result<Answer> {
    let mut request = get(path)?;
    if let Some(token) = token {
        request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).context("token")?);
    }
    connection.request(request).await
}
