//! A component with every hook, each of which does nothing but call one capability some times where it is asked to:
//! `config = { call = "read-header", times = 50 }`. For `cargo bench -p plugway --bench hooks`.

use std::hint::black_box;
use std::time::Duration;

use plugway_sdk::metrics::{Counter, Histogram};
use plugway_sdk::rate_limit::{Quota, RateLimit};
use plugway_sdk::{
    Attempt, AuthError, Authorizer, Batch, BatchObserver, Decision, Endpoint, EndpointId, EndpointOutcome, Error, ExchangeRecord, Flow,
    ForwardError, Forwarder, HeaderName, Identity, NumberedLine, Observer, OutcomeObserver, Plan, Plugin, Request, RequestFilter, Response,
    ResponseFilter, RouteError, Router, Timer, clock, crypto, endpoints, header, keys, kv, log, random, secrets, trace,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    call: Call,
    times: u32,
    /// Of `verify-jws`, and of `verify` and `thumbprint`.
    jwk: Option<String>,
    jws: String,
    /// Of `verify`: what was signed is in `jws`.
    signature: Vec<u8>,
    /// Whether it is ticked.
    timer: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { call: Call::Nothing, times: 0, jwk: None, jws: String::new(), signature: Vec::new(), timer: false }
    }
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Call {
    Nothing,
    ReadHeader,
    ReadHeaderByText,
    ReadHeaders,
    SetHeader,
    SetLine,
    ReadPath,
    ReadRequestId,
    SetAttribute,
    ReadAttribute,
    Clock,
    Monotonic,
    AskAvailable,
    AskInFlight,
    AskLatency,
    AskUpstreamInFlight,
    AskRecording,
    NoteAttribute,
    AddEvent,
    RandomNumber,
    CountMetric,
    RecordAll,
    AskLogLevel,
    Sha256,
    Hmac,
    Equal,
    VerifyJws,
    Verify,
    Thumbprint,
    RandomBytes,
    WriteLog,
    KvGet,
    KvSet,
    KvIncrement,
    KvDelete,
    KvSwap,
    KvPin,
    TakeToken,
    GiveTokenBack,
    GetSecret,
    Algorithms,
    Sign,
    Seal,
    Open,
    ReadStatus,
    ReadResponseHeader,
    SetResponseHeader,
    SetResponseLine,
    ReadPlanHost,
    SetPlanHost,
    SetPlanHeader,
}

struct Guest {
    call: Call,
    times: u32,
    header: HeaderName<'static>,
    line: NumberedLine,
    counter: Counter<1>,
    histogram: Histogram<1>,
    key: Option<crypto::PublicKey>,
    jws: String,
    signature: Vec<u8>,
    endpoints: Vec<EndpointId>,
    limit: RateLimit,
    sealed: Vec<u8>,
    timer: bool,
}

impl Plugin for Guest {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        kv::set("a key", [7; 64], None)?;
        Ok(Self {
            call: config.call,
            times: config.times,
            header: HeaderName::numbered("x-plugin")?,
            line: NumberedLine::new("x-plugin", "on")?,
            counter: Counter::declare("bench_total", "Calls of the bench.", "1", ["kind"])?,
            key: config.jwk.as_deref().map(crypto::PublicKey::from_jwk).transpose()?,
            histogram: Histogram::declare("bench_amounts", "Amounts of the bench.", "1", ["kind"], &[0.1, 1.0, 10.0])?,
            jws: config.jws,
            signature: config.signature,
            endpoints: Vec::new(),
            // Never empty.
            limit: RateLimit::declare("bench", Quota { tokens: 1_000_000, period: Duration::from_secs(1), burst: u32::MAX })?,
            sealed: keys::seal("secret", "bench", &[7; 64])?,
            timer: config.timer,
        })
    }
}

impl Guest {
    fn endpoint(&self) -> Result<EndpointId, Error> {
        Ok(self.endpoints.first().copied().ok_or("no endpoint")?)
    }

    fn key(&self) -> Result<&crypto::PublicKey, Error> {
        Ok(self.key.as_ref().ok_or("no `jwk`")?)
    }

    fn call_on_response(&self, response: &mut Response) -> Result<(), Error> {
        match self.call {
            Call::ReadStatus => _ = black_box(response.status()),
            Call::ReadResponseHeader => drop(black_box(response.header(header::CONTENT_TYPE))),
            Call::SetResponseHeader => response.set_header(self.header.clone(), "on")?,
            Call::SetResponseLine => response.set_line(&self.line)?,
            _ => {}
        }
        Ok(())
    }

    fn call_on_plan(&self, plan: &mut Plan) -> Result<(), Error> {
        match self.call {
            Call::ReadPlanHost => drop(black_box(plan.host())),
            Call::SetPlanHost => plan.set_host("orders.example.com")?,
            Call::SetPlanHeader => plan.set_header(self.header.clone(), "on")?,
            _ => {}
        }
        Ok(())
    }

    fn call(&self, request: &mut Request) -> Result<(), Error> {
        match self.call {
            // Those of other hooks.
            Call::Nothing
            | Call::ReadStatus
            | Call::ReadResponseHeader
            | Call::SetResponseHeader
            | Call::SetResponseLine
            | Call::ReadPlanHost
            | Call::SetPlanHost
            | Call::SetPlanHeader => {}
            Call::ReadHeader => drop(black_box(request.header(header::X_TENANT_ID))),
            Call::ReadHeaderByText => drop(black_box(request.header("x-tenant-id"))),
            Call::ReadHeaders => drop(black_box(request.headers())),
            Call::SetHeader => request.set_header(self.header.clone(), "on")?,
            Call::SetLine => request.set_line(&self.line)?,
            Call::ReadPath => drop(black_box(request.path())),
            Call::ReadRequestId => drop(black_box(request.id())),
            Call::SetAttribute => request.set_attribute("tenant", "acme")?,
            Call::ReadAttribute => drop(black_box(request.attribute("all", "tenant"))),
            Call::Clock => _ = black_box(clock::now()),
            Call::Monotonic => _ = black_box(clock::monotonic()),
            Call::AskAvailable => _ = black_box(endpoints::available(self.endpoint()?)),
            Call::AskInFlight => _ = black_box(endpoints::in_flight(self.endpoint()?)),
            Call::AskLatency => _ = black_box(endpoints::latency(self.endpoint()?)),
            Call::AskUpstreamInFlight => _ = black_box(endpoints::upstream_in_flight(self.endpoint()?)),
            // Of a request that is not sampled, as most are not.
            Call::AskRecording => _ = black_box(trace::recording()),
            Call::NoteAttribute => trace::set_attribute("tenant", "acme"),
            Call::AddEvent => trace::add_event("cache looked up", [("tenant", "acme".into())]),
            Call::RandomNumber => _ = black_box(random::number()),
            Call::CountMetric => self.counter.add(1.0, ["bench"]),
            Call::RecordAll => self.histogram.record_all(&[0.5; 64], ["bench"]),
            Call::AskLogLevel => _ = black_box(log::enabled(log::Level::Debug)),
            Call::Sha256 => drop(black_box(crypto::digest(crypto::DigestAlgorithm::Sha256, &[7; 64]))),
            Call::VerifyJws => drop(black_box(self.key()?.verify_jws("RS256", &self.jws)?)),
            Call::Verify => self.key()?.verify("RS256", self.jws.as_bytes(), &self.signature)?,
            Call::Thumbprint => drop(black_box(self.key()?.thumbprint())),
            Call::Equal => _ = black_box(crypto::equal(&[7; 32], &[7; 32])),
            Call::RandomBytes => drop(black_box(random::bytes(16))),
            // Below the level that is written, as most of a plugin's lines are.
            Call::WriteLog => log::write(log::Level::Debug, "a line of some thirty characters"),
            Call::KvGet => drop(black_box(kv::get("a key")?)),
            Call::KvSet => kv::set("a key", [7; 64], None)?,
            Call::KvIncrement => _ = black_box(kv::increment("a number", 1, None)?),
            Call::KvDelete => _ = black_box(kv::delete("no key")?),
            Call::KvSwap => kv::compare_and_swap("a key", Some(&[7; 64]), Some(&[7; 64]), None)?,
            // It is there: what a plugin that looks for something used twice finds out.
            Call::KvPin => _ = black_box(kv::pin("a key", [7; 64], Duration::from_secs(60))),
            Call::TakeToken => drop(black_box(self.limit.take("acme", 1)?)),
            Call::GiveTokenBack => self.limit.give_back("acme", 1)?,
            Call::GetSecret => drop(black_box(secrets::get("secret")?)),
            Call::Algorithms => drop(black_box(keys::algorithms("signing")?)),
            Call::Sign => drop(black_box(keys::sign("signing", "ES256", &[7; 64])?)),
            Call::Seal => drop(black_box(keys::seal("secret", "bench", &[7; 64])?)),
            Call::Open => drop(black_box(keys::open("secret", "bench", &self.sealed)?)),
            Call::Hmac => drop(black_box(crypto::hmac(crypto::DigestAlgorithm::Sha256, &[1; 32], &[7; 64]))),
        }
        Ok(())
    }
}

impl Authorizer for Guest {
    fn authorize(&self, _: &mut Request) -> Result<Decision, AuthError> {
        Ok(Decision::Allow(Identity::new("bench")))
    }
}

impl RequestFilter for Guest {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        for _ in 0..self.times {
            self.call(request)?;
        }
        Ok(Flow::Next)
    }
}

impl Router for Guest {
    fn on_endpoints(&mut self, _: u64, endpoints: Vec<Endpoint>) -> Result<(), Error> {
        self.endpoints = endpoints.iter().map(|endpoint| endpoint.id).collect();
        Ok(())
    }

    fn route(&self, _: &Request, _: &Attempt) -> Result<EndpointId, RouteError> {
        self.endpoints.first().copied().ok_or(RouteError::NoEndpoint)
    }
}

impl OutcomeObserver for Guest {
    fn on_outcomes(&mut self, outcomes: &[EndpointOutcome]) -> Result<(), Error> {
        black_box(outcomes.len());
        Ok(())
    }
}

impl Forwarder for Guest {
    fn forward(&self, _: &Request, _: EndpointId, plan: &mut Plan) -> Result<(), ForwardError> {
        for _ in 0..self.times {
            self.call_on_plan(plan)?;
        }
        Ok(())
    }
}

impl ResponseFilter for Guest {
    fn on_response(&self, _: &Request, response: &mut Response) -> Result<Flow, Error> {
        for _ in 0..self.times {
            self.call_on_response(response)?;
        }
        Ok(Flow::Next)
    }
}

impl Observer for Guest {
    fn on_complete(&self, records: &[ExchangeRecord]) -> Result<(), Error> {
        black_box(records.len());
        Ok(())
    }
}

impl BatchObserver for Guest {
    fn on_batch(&self, batch: &Batch<'_>) -> Result<(), Error> {
        black_box((batch.routes(), batch.statuses(), batch.durations_us()));
        Ok(())
    }
}

impl Timer for Guest {
    fn period(&self) -> Option<Duration> {
        self.timer.then_some(Duration::from_secs(3_600))
    }

    fn on_tick(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

plugway_sdk::export!(
    Guest: Authorizer, RequestFilter, Router, OutcomeObserver, Forwarder, ResponseFilter, Observer, BatchObserver, Timer
);
