mod answers;
mod limits;
mod passes;

use std::time::Duration;

use crate::http_client::OutgoingRequest;
use crate::testing::{self, json};
use crate::{
    AuthError, Authorizer, ChangeError, Decision, Error, Flow, ForwardError, Forwarder, HttpError, Identity, KvError, LocalResponse,
    MetricError, NoConfig, NumberedLine, Plan, PlanError, Plugin, Request, RequestFilter, Response, ResponseFilter, Status, Timer, Value,
    clock, crypto, endpoints, header, kv, log, metrics, random,
};

/// Does what a test tells it to.
struct Told;

type Told1<T> = fn(&mut Request<'_>) -> T;

thread_local! {
    static FILTER: std::cell::Cell<Option<Told1<Result<Flow, Error>>>> = const { std::cell::Cell::new(None) };
}

impl Plugin for Told {
    type Config = NoConfig;
    fn configure(_: NoConfig) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Told {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        FILTER.get().unwrap()(request)
    }
}

impl Authorizer for Told {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        assert_eq!(request.set_path("/elsewhere"), Err(ChangeError::Immutable));
        assert_eq!(request.set_method("POST"), Err(ChangeError::Immutable));
        request.set_header("x-user", "ann")?;
        request.append_response_header("dpop-nonce", "n")?;
        let mut identity = Identity::new("ann");
        identity.set_claim("admin", true)?;
        identity.set_scopes(&["orders:read"]);
        Ok(Decision::Allow(identity))
    }
}

impl ResponseFilter for Told {
    fn on_response(&self, request: &Request, response: &mut Response) -> Result<Flow, Error> {
        assert_eq!(response.set_status(204), Err(ChangeError::Invalid("this status would change the message's framing".to_owned())));
        assert_eq!(response.set_header("transfer-encoding", "chunked"), Err(ChangeError::Forbidden));
        assert_eq!(response.set_line(&NumberedLine::new("Transfer-Encoding", "chunked")?), Err(ChangeError::Forbidden));
        request.set_attribute("seen", 1)?;
        response.set_status(Status::NOT_FOUND)?;
        response.remove_header("server")?;
        Err("changed my mind".into())
    }
}

impl Forwarder for Told {
    fn forward(&self, _: &Request, endpoint: u64, plan: &mut Plan) -> Result<(), ForwardError> {
        assert_eq!(plan.set_scheme("http"), Err(PlanError::Weaker));
        assert_eq!(plan.set_tls_profile("other"), Err(PlanError::NotAllowed));
        assert_eq!(plan.set_connect_timeout(Duration::from_secs(6)), Err(PlanError::Weaker));
        assert_eq!(plan.set_max_attempts(0), Err(PlanError::Invalid("there is always one attempt".to_owned())));
        assert_eq!(plan.set_header(header::CONTENT_LENGTH, "1"), Err(ChangeError::Forbidden));
        plan.set_server_name("orders.internal")?;
        plan.set_response_timeout(Duration::from_millis(1500))?;
        plan.set_header("x-endpoint", endpoint.to_string())?;
        Ok(())
    }
}

fn filter(told: Told1<Result<Flow, Error>>, request: &mut Request<'_>) -> Result<Flow, Error> {
    FILTER.set(Some(told));
    testing::configure::<Told>(json!({})).unwrap().on_request(request)
}

#[test]
fn refuses_a_key_nobody_knows() {
    let error = testing::configure::<Told>(json!({ "typo": 1 })).err().unwrap();
    assert!(error.contains("unknown field `typo`"), "{error}");
}

#[test]
fn shows_a_hook_its_own_changes_and_keeps_them() {
    let mut request = testing::Request::get("/a?x=1%202&y=+").header("X-Old", "1").build();
    let told: Told1<_> = |request| {
        request.set_header(header::X_TENANT_ID, "acme")?;
        request.append_header("x-old", [0xff])?;
        request.set_path("/b/%20")?;
        request.set_query(None)?;
        request.set_method("PUT")?;
        assert_eq!(request.header_values("X-OLD"), [b"1".to_vec(), vec![0xff]]);
        assert_eq!((request.only_header("X-OLD"), request.only_header("x-none")), (Err(header::Repeated), Ok(None)));
        Ok(Flow::Next)
    };
    assert_eq!(request.query_parameter("x").as_deref(), Some("1 2"));
    assert_eq!(request.query_parameter("y").as_deref(), Some(" "));
    filter(told, &mut request).unwrap();
    assert_eq!((request.method(), request.path(), request.query()), ("PUT".to_owned(), "/b/%20".to_owned(), None));
    assert_eq!(request.header_str("x-tenant-id").as_deref(), Some("acme"));
    assert_eq!(request.raw_path(), "/a");
}

#[test]
fn takes_changes_back_when_a_hook_fails() {
    let mut request = testing::Request::get("/a").build();
    let told: Told1<_> = |request| {
        request.set_header("x-new", "1")?;
        request.set_path("not a path")?;
        Ok(Flow::Next)
    };
    let error = filter(told, &mut request).unwrap_err();
    assert_eq!(error.to_string(), "not a legal value: the path is not in normal form");
    assert_eq!(request.header("x-new"), None);
}

#[test]
fn refuses_what_no_plugin_may_set() {
    let told: Told1<_> = |request| {
        for name in ["content-length", "Connection", "host", "x-forwarded-for", "traceparent"] {
            assert_eq!(request.set_header(name, "1"), Err(ChangeError::Forbidden), "{name}");
        }
        assert_eq!(request.remove_header(header::HOST), Err(ChangeError::Forbidden));
        assert!(matches!(request.set_header("a b", "1"), Err(ChangeError::Invalid(_))));
        assert!(matches!(request.set_header("x-a", "1\r\n"), Err(ChangeError::Invalid(_))));
        for query in ["a b", "a\"", "a<", "a>", "a#", "é"] {
            assert!(matches!(request.set_query(Some(query)), Err(ChangeError::Invalid(_))), "{query}");
        }
        request.set_query(Some("a='{}|\\^`?/"))?;
        assert_eq!(request.set_method("TRACE"), Err(ChangeError::Forbidden));
        assert_eq!(request.set_path(&format!("/{}", "a".repeat(32_766))), Err(ChangeError::TooLarge));
        assert_eq!(request.set_query(Some(&"a".repeat(32_767))), Err(ChangeError::TooLarge));
        for path in ["", "a", "/a//b", "/a/../b", "/%41", "/%2f", "/a b", "/é"] {
            assert!(matches!(request.set_path(path), Err(ChangeError::Invalid(_))), "{path}");
        }
        Ok(Flow::Next)
    };
    filter(told, &mut testing::Request::get("/").build()).unwrap();
}

#[test]
fn bounds_headers_and_attributes() {
    let told: Told1<_> = |request| {
        let set = (0..100).take_while(|number| request.set_header(&*format!("x-{number}"), "1").is_ok()).count();
        assert_eq!(set, 64);
        assert_eq!(request.set_attribute("large", "x".repeat(16 * 1024)), Err(ChangeError::TooLarge));
        request.set_attribute("small", 1.5)?;
        Ok(Flow::Next)
    };
    let mut request = testing::Request::get("/").build();
    filter(told, &mut request).unwrap();
    assert_eq!(request.attribute(testing::PLUGIN, "small"), Some(Value::Number(1.5)));
    assert_eq!(request.attribute("other", "small"), None);
}

#[test]
fn gives_the_request_the_identity_an_authorizer_allowed() {
    let plugin = testing::configure::<Told>(json!({})).unwrap();
    let mut request = testing::Request::get("/").build();
    assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(_)));
    let identity = request.identity().unwrap();
    assert_eq!((identity.subject().as_str(), identity.scopes()), ("ann", vec!["orders:read".to_owned()]));
    assert_eq!(identity.claim("admin"), Some(Value::Boolean(true)));
    assert_eq!(request.header_str("x-user").as_deref(), Some("ann"));
    assert_eq!(testing::response_headers(&request)[0].name, "dpop-nonce");
}

#[test]
fn copies_an_identity_that_then_goes_its_own_way() {
    let mut kept = Identity::new("ann");
    kept.set_scopes(&["read"]);
    let mut copy = kept.clone();
    copy.set_claim("tenant", "acme").unwrap();
    kept.set_scopes(&[]);
    assert_eq!((copy.subject(), copy.scopes(), kept.claim("tenant")), ("ann".to_owned(), vec!["read".to_owned()], None));
}

#[test]
fn an_identity_that_is_made_by_one_call_is_as_one_that_grew() {
    let (first, last) = (Value::from("a"), Value::from("b"));
    let whole = Identity::of("ann", Some("https://id.example"), &["read"], &[("tenant", &first), ("tenant", &last)]).unwrap();
    assert_eq!(
        (whole.subject(), whole.issuer().as_deref(), whole.scopes()),
        ("ann".to_owned(), Some("https://id.example"), vec!["read".to_owned()])
    );
    assert_eq!((whole.claim("tenant"), whole.claim("plan")), (Some(last), None));
    let large = Value::from("x".repeat(1 << 20));
    assert_eq!(Identity::of("ann", None, &[], &[("large", &large)]).unwrap_err(), ChangeError::TooLarge);
    assert_eq!(Identity::of(&"x".repeat(1 << 20), None, &[], &[]).unwrap_err(), ChangeError::TooLarge);
}

#[test]
fn leaves_the_response_as_it_was_when_a_filter_fails() {
    let plugin = testing::configure::<Told>(json!({})).unwrap();
    let request = testing::Request::get("/").build();
    let mut response = testing::Response::new(200).header("server", "x").build();
    assert!(plugin.on_response(&request, &mut response).is_err());
    assert_eq!(response.status(), 200);
    assert_eq!(response.header_str(header::SERVER).as_deref(), Some("x"));
}

#[test]
fn lets_a_plan_tighten_but_not_weaken() {
    let plugin = testing::configure::<Told>(json!({})).unwrap();
    let mut plan = testing::Plan::new("https").tls_profile("mutual").server_name("orders.internal").build();
    plugin.forward(&testing::Request::get("/").build(), 7, &mut plan).unwrap();
    let planned = testing::planned(&plan);
    assert_eq!(planned.server_name.as_deref(), Some("orders.internal"));
    assert_eq!(planned.response_timeout, Duration::from_millis(1500));
    assert_eq!(planned.set_headers[0].value, b"7");
}

#[test]
fn reads_cookies_and_bearer_tokens() {
    let request =
        testing::Request::get("/").header("cookie", "a=1").header("cookie", "b=2; c=\"3\"").header("authorization", "bearer t.0-k").build();
    assert_eq!(request.cookie("c").as_deref(), Some("3"));
    assert_eq!(request.cookie("d"), None);
    assert_eq!(request.bearer_token().as_deref(), Some("t.0-k"));
    let twice = testing::Request::get("/").header("authorization", "Bearer a").header("authorization", "Bearer b").build();
    assert_eq!(twice.bearer_token(), None);
}

#[test]
fn lends_time_chance_endpoints_and_log() {
    let (start, ticks) = (clock::now(), clock::monotonic());
    testing::advance(Duration::from_secs(3));
    assert_eq!((clock::now() - start, clock::monotonic() - ticks), (Duration::from_secs(3), Duration::from_secs(3)));
    testing::set_now(Duration::from_secs(10));
    assert_eq!((clock::now(), clock::monotonic() - ticks), (Duration::from_secs(10), Duration::from_secs(3)));
    assert_ne!(random::number(), random::number());
    assert_eq!(random::bytes(5000).len(), 4096);
    testing::set_endpoint(1, testing::EndpointState { in_flight: 4, latency: Duration::from_millis(2), ..Default::default() });
    assert_eq!((endpoints::available(1), endpoints::in_flight(1), endpoints::latency(1)), (true, 4, Duration::from_millis(2)));
    assert!(!endpoints::available(2));
    log::warn!("{} of {}", 1, 2);
    assert_eq!(testing::take_logs(), [(log::Level::Warn, "1 of 2".to_owned())]);
    assert!(testing::take_logs().is_empty());
}

#[test]
fn declares_instruments_only_while_configuring() {
    let late = metrics::Counter::declare("late_total", "", "1", []);
    assert_eq!(late.unwrap_err(), MetricError::TooLate);
    testing::in_configure(|| {
        let counter = metrics::Counter::declare("hits_total", "", "1", ["route"]).unwrap();
        counter.add(1.0, ["a"]);
        counter.add(-1.0, ["a"]);
        counter.add(2.0, ["b"]);
        metrics::Counter::declare("hits_total", "", "1", ["route"]).unwrap().add(4.0, ["a"]);
        assert_eq!(metrics::Gauge::declare("hits_total", "", "1", ["route"]).unwrap_err(), MetricError::Conflict);
        assert_eq!(metrics::Gauge::declare("Hits", "", "1", []).unwrap_err(), MetricError::InvalidName("Hits".to_owned()));
        assert_eq!(testing::instrument("hits_total").unwrap().sum(&["a"]), 5.0);
    });
}

#[test]
fn checks_signatures_for_real() {
    // RFC 8037, appendix A.
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    let key = crypto::PublicKey::from_jwk(jwk).unwrap();
    key.verify("EdDSA", message, &signature).unwrap();
    assert_eq!(key.verify("EdDSA", b"other", &signature), Err(crate::CryptoError::Mismatch));
    assert!(matches!(key.verify("RS256", message, &signature), Err(crate::CryptoError::InvalidKey(_))));
    assert_eq!(key.verify("none", message, &signature), Err(crate::CryptoError::Unsupported));
    assert!(crypto::PublicKey::from_jwk(r#"{"kty":"oct","k":"AA"}"#).is_err());
    let empty = crypto::digest(crypto::DigestAlgorithm::Sha256, b"").unwrap();
    assert!(crypto::equal(&empty[..4], &[0xe3, 0xb0, 0xc4, 0x42]));
}

#[test]
fn makes_problems_and_redirects() {
    let answer: LocalResponse = LocalResponse::problem(Status::TOO_MANY_REQUESTS, "Slow down.")
        .with_detail("at most 5 a second")
        .with_member("limit", 5)
        .with_header(header::RETRY_AFTER, "1")
        .into();
    assert_eq!(answer.status(), Status::TOO_MANY_REQUESTS);
    assert_eq!(answer.header_str("Content-Type"), Some("application/problem+json"));
    assert_eq!(answer.header_str(header::RETRY_AFTER), Some("1"));
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let expected = json!({ "type": "about:blank", "title": "Slow down.", "status": 429, "detail": "at most 5 a second", "limit": 5 });
    assert_eq!(body, expected);
    assert_eq!(LocalResponse::redirect(Status::FOUND, "/login").header_str(header::LOCATION), Some("/login"));
}

#[test]
fn reads_an_endpoint_from_its_url() {
    let endpoint = testing::endpoint(1, "https://[::1]:9441");
    assert_eq!((endpoint.host.as_str(), endpoint.port), ("::1", 9441));
    assert_eq!(testing::endpoint(2, "http://a.example").port, 80);
}

#[test]
fn entries_are_kept_as_the_gateway_keeps_them() {
    let second = Some(Duration::from_secs(1));
    assert_eq!(kv::get("k"), Ok(None));
    kv::set("k", "v", second).unwrap();
    assert_eq!(kv::get("k"), Ok(Some(b"v".to_vec())));
    assert_eq!(kv::increment("k", 1, None), Err(KvError::NotANumber));
    assert_eq!(kv::compare_and_swap("k", Some(b"w"), Some(b"x"), None), Err(KvError::Mismatch));
    assert_eq!(kv::increment("n", 2, second), Ok(2));
    testing::advance(Duration::from_millis(999));
    assert_eq!(kv::increment("n", 2, second), Ok(4));
    testing::advance(Duration::from_millis(1));
    assert_eq!((kv::get("k"), kv::get("n")), (Ok(None), Ok(None)));
    assert_eq!(kv::compare_and_swap("k", None, Some(b"x"), None), Ok(()));
    assert_eq!(kv::compare_and_swap("k", Some(b"x"), None, None), Ok(()));
    assert_eq!(kv::delete("k"), Ok(false));
    kv::set("n", i64::MAX.to_string(), None).unwrap();
    assert_eq!(kv::increment("n", 1, None), Err(KvError::Overflow));
    assert_eq!(kv::set(&"k".repeat(1_025), "", None), Err(KvError::TooLarge));
    assert_eq!(kv::set("k", vec![0; (64 << 10) + 1], None), Err(KvError::TooLarge));
    assert_eq!(kv::set("k", "", Some(Duration::ZERO)), Err(KvError::InvalidTtl));
}

/// Counts its ticks, by a period that its configuration says.
struct Ticked(u64, i64);

impl Plugin for Ticked {
    type Config = u64;
    fn configure(period_ms: u64) -> Result<Self, Error> {
        Ok(Self(period_ms, 0))
    }
}

impl Timer for Ticked {
    fn period(&self) -> Option<Duration> {
        (self.0 > 0).then(|| Duration::from_millis(self.0))
    }

    fn on_tick(&mut self) -> Result<(), Error> {
        self.1 = kv::increment("ticks", 1, None)?;
        Ok(())
    }
}

#[test]
fn a_timer_is_ticked_and_its_period_has_bounds() {
    let mut ticked = testing::configure::<Ticked>(json!(100)).unwrap();
    assert_eq!(ticked.period(), Ok(Some(Duration::from_millis(100))));
    ticked.on_tick().unwrap();
    ticked.on_tick().unwrap();
    assert_eq!((ticked.1, kv::get("ticks")), (2, Ok(Some(b"2".to_vec()))));
    assert_eq!(testing::configure::<Ticked>(json!(0)).unwrap().period(), Ok(None));
    assert!(testing::configure::<Ticked>(json!(99)).unwrap().period().is_err());
}

struct Asks;

impl Plugin for Asks {
    type Config = NoConfig;
    fn configure(_: NoConfig) -> Result<Self, Error> {
        assert_eq!(OutgoingRequest::get("https://id.example/").send().unwrap_err(), HttpError::NotHere);
        Ok(Self)
    }
}

impl RequestFilter for Asks {
    fn on_request(&self, _: &mut Request<'_>) -> Result<Flow, Error> {
        let asked = OutgoingRequest::post("https://id.example/introspect").with_header(header::ACCEPT, "a/b").with_body("token=x");
        let answer = asked.with_timeout(Duration::from_millis(250)).send()?;
        Ok(Flow::respond(LocalResponse::new(answer.status()).with_body(answer.body())))
    }
}

#[test]
fn a_test_says_what_servers_answer_and_reads_what_they_were_asked() {
    let asks = testing::configure::<Asks>(json!({})).unwrap();
    let answered = || asks.on_request(&mut testing::Request::get("/").build());
    assert_eq!(answered().unwrap_err().to_string(), "no connection: the test has no server");
    testing::answer_http(testing::HttpAnswer::new(404).with_body("queued"));
    testing::answer_http(HttpError::Timeout);
    testing::serve_http(|request| Ok(testing::HttpAnswer::new(200).with_body(request.body.clone())));
    assert_eq!(answered().unwrap(), Flow::respond(LocalResponse::new(404).with_body("queued")));
    assert_eq!(answered().unwrap_err().to_string(), "no answer in time");
    assert_eq!(answered().unwrap(), Flow::respond(LocalResponse::new(200).with_body("token=x")));
    assert_eq!(answered().unwrap(), Flow::respond(LocalResponse::new(200).with_body("token=x")));
    let sent = testing::take_http_requests();
    assert_eq!(sent.len(), 5);
    assert_eq!((sent[4].method.as_str(), sent[4].url.as_str()), ("POST", "https://id.example/introspect"));
    assert_eq!(
        (sent[4].header_str(header::ACCEPT), sent[4].timeout, sent[4].shared),
        (Some("a/b"), Some(Duration::from_millis(250)), false)
    );
}
