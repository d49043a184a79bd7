//! Bounds and grants of the capabilities, as the gateway has them.

use std::panic::catch_unwind;
use std::time::Duration;

use crate::http_client::{self, OutgoingRequest};
use crate::rate_limit::{Quota, RateLimit};
use crate::testing::{self, json};
use crate::{
    ChangeError, CryptoError, EndpointId, Error, Flow, ForwardError, Forwarder, HttpError, Identity, KeyError, MetricError, NoConfig,
    NumberedLine, Plan, Plugin, RateLimitError, Request, RequestFilter, Response, ResponseFilter, SecretError, crypto, keys, metrics,
    secrets,
};

struct Fills;

impl Plugin for Fills {
    type Config = NoConfig;
    fn configure(_: NoConfig) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Fills {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        for value in ["a", "b"] {
            request.set_attribute("large", value.repeat(16 * 1024 - "large".len()))?;
        }
        assert_eq!(request.set_attribute("other", true), Err(ChangeError::TooLarge));
        let line = NumberedLine::new("x-line", "on")?;
        (0..64).for_each(|_| assert_eq!(request.set_line(&line), Ok(())));
        assert_eq!(request.set_line(&line), Err(ChangeError::TooLarge));
        Ok(Flow::Next)
    }
}

impl Forwarder for Fills {
    fn forward(&self, _: &Request, _: EndpointId, plan: &mut Plan) -> Result<(), ForwardError> {
        for number in 0..64 {
            plan.remove_header(&*format!("x-{number}"))?;
        }
        assert_eq!(plan.remove_header("x-64"), Err(ChangeError::TooLarge));
        assert_eq!(plan.set_header("x-64", "1"), Err(ChangeError::TooLarge));
        Ok(())
    }
}

/// Goes on with a line of that name, in both directions.
struct Leaves(NumberedLine);

#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

impl Plugin for Leaves {
    type Config = Named;

    fn configure(config: Named) -> Result<Self, Error> {
        Ok(Self(NumberedLine::new(&config.name, "left")?))
    }
}

impl RequestFilter for Leaves {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        request.set_header("x-before", "on")?;
        Ok(request.next_with(&self.0)?)
    }
}

impl ResponseFilter for Leaves {
    fn on_response(&self, _: &Request, response: &mut Response) -> Result<Flow, Error> {
        response.set_header("x-before", "on")?;
        Ok(response.next_with(&self.0)?)
    }
}

#[test]
fn a_line_that_comes_with_the_answer_is_set_or_the_call_has_failed() {
    for (name, of_request, of_response) in [("X-Left", true, true), ("via", false, true), ("connection", false, false)] {
        let plugin = testing::configure::<Leaves>(json!({ "name": name })).unwrap();
        let mut request = testing::Request::get("/").build();
        let flow = plugin.on_request(&mut request);
        assert_eq!((flow.as_ref().ok(), flow.is_err()), (of_request.then_some(&Flow::Next), !of_request), "{name}: {flow:?}");
        assert_eq!(request.header_str(name).as_deref(), of_request.then_some("left"));
        assert_eq!(request.header("x-before").is_some(), of_request, "{name}");
        let mut response = testing::Response::new(200).build();
        let flow = plugin.on_response(&request, &mut response);
        assert_eq!(flow.is_ok(), of_response, "{name}: {flow:?}");
        assert_eq!(response.header_str(name).as_deref(), of_response.then_some("left"));
        assert_eq!(response.header("x-before").is_some(), of_response, "{name}");
    }
}

#[test]
fn what_is_replaced_makes_room_and_what_is_removed_takes_some() {
    let plugin = testing::configure::<Fills>(json!({})).unwrap();
    plugin.on_request(&mut testing::Request::get("/").build()).unwrap();
    let mut plan = testing::Plan::new("http").build();
    plugin.forward(&testing::Request::get("/").build(), 1, &mut plan).unwrap();
    assert_eq!(testing::planned(&plan).removed_headers.len(), 64);

    let mut identity = Identity::new("ann");
    for value in ["a", "b"] {
        identity.set_claim("large", value.repeat(16 * 1024 - "ann".len() - "large".len())).unwrap();
    }
    assert_eq!(identity.set_claim("other", true), Err(ChangeError::TooLarge));
    // Past the limit by what cannot say so: then nothing of it is left, and nothing more is taken.
    identity.set_issuer("https://id.example");
    assert_eq!(identity.subject(), "");
    assert_eq!(identity.set_claim("other", true), Err(ChangeError::TooLarge));
    assert_eq!(identity.clone().set_claim("other", true), Err(ChangeError::TooLarge));
}

#[test]
fn the_name_of_a_limit_has_an_end() {
    let quota = Quota { tokens: 1, period: Duration::from_secs(1), burst: 1 };
    let named = |bytes: usize| testing::in_configure(|| RateLimit::declare(&"l".repeat(bytes), quota)).map(drop);
    assert_eq!((named(4 << 10), named((4 << 10) + 1)), (Ok(()), Err(RateLimitError::TooLarge)));
}

#[test]
fn limits_of_one_rate_are_one() {
    let declared = |tokens, seconds, burst| {
        let quota = Quota { tokens, period: Duration::from_secs(seconds), burst };
        testing::in_configure(|| RateLimit::declare("l", quota)).unwrap()
    };
    assert_eq!(declared(1, 1, 5), declared(2, 2, 5));
    assert_ne!(declared(1, 1, 5), declared(2, 2, 6));
    assert_ne!(declared(1, 1, 5), declared(1, 2, 5));
}

#[test]
fn a_capability_that_is_taken_away_is_away() {
    let quota = Quota { tokens: 1, period: Duration::from_secs(1), burst: 1 };
    let limit = testing::in_configure(|| RateLimit::declare("l", quota)).unwrap();
    testing::set_secret("s", "secret");
    testing::set_key("k", [7; 32]);
    for capability in ["rate-limit", "secrets", "keys", "http-client"] {
        testing::deny(capability);
    }
    assert_eq!(RateLimit::declare("l", quota), Err(RateLimitError::TooLate), "that comes first");
    assert!(catch_unwind(|| testing::in_configure(|| RateLimit::declare("l", quota))).is_err());
    assert!(catch_unwind(|| limit.take("a", 1)).is_err());
    assert!(catch_unwind(|| limit.give_back("a", 1)).is_err());
    assert!(catch_unwind(|| OutgoingRequest::get("https://id.example/").send().map(drop)).is_err());
    assert!(catch_unwind(|| http_client::may_ask("https://id.example/")).is_err());
    assert_eq!(secrets::get("s").unwrap_err(), SecretError::NotGranted);
    assert_eq!(keys::seal("k", "", b""), Err(KeyError::NotGranted));
}

#[test]
fn requests_go_where_a_test_says_they_may() {
    let sent = |url: &str| OutgoingRequest::get(url).send().map(drop);
    testing::serve_http(|_| Ok(testing::HttpAnswer::new(200)));
    assert_eq!((http_client::may_ask("https://id.example/"), sent("https://id.example/")), (Ok(()), Ok(())), "anywhere, until one does");
    testing::grant_hosts(&["id.example", "*.b.example:8443", "http://127.0.0.1:8080", "[fd00::1]"]);
    for (url, word) in [
        ("https://id.example", "may"),
        ("https://ID.example:443/a?b#c", "may"),
        ("https://id.example./", "may"),
        ("https://a.b.example:8443/", "may"),
        ("http://127.0.0.1:8080/", "may"),
        ("https://[FD00::1]/", "may"),
        ("http://id.example/", "not allowed"),
        ("https://id.example:8443/", "not allowed"),
        ("https://b.example:8443/", "not allowed"),
        ("https://xb.example:8443/", "not allowed"),
        ("https://id.example.evil.example/", "not allowed"),
        ("https://127.0.0.1:8080/", "not allowed"),
        ("http://[fd00::1]/", "not allowed"),
        ("https://ann@id.example/", "invalid"),
        ("https://id.example:0/", "invalid"),
        ("https://", "invalid"),
        ("ftp://id.example/", "invalid"),
        ("/a", "invalid"),
    ] {
        let may = http_client::may_ask(url);
        let said = match &may {
            Ok(()) => "may",
            Err(HttpError::NotAllowed(_)) => "not allowed",
            Err(HttpError::Invalid(_)) => "invalid",
            Err(_) => "another",
        };
        assert_eq!((said, sent(url)), (word, may.clone()), "{url}");
        // Where nothing can be sent it is the same.
        assert_eq!(testing::in_configure(|| http_client::may_ask(url)), may, "{url}");
    }
}

#[test]
fn an_instance_holds_sixteen_requests_and_answers() {
    testing::serve_http(|_| Ok(testing::HttpAnswer::new(200)));
    let get = || OutgoingRequest::get("https://id.example/");
    let mut answers: Vec<_> = (0..16).map(|_| get().send().unwrap()).collect();
    assert!(catch_unwind(|| drop(get())).is_err(), "the seventeenth");
    answers.pop();
    drop(get());
    let requests: Vec<_> = answers.drain(..8).map(|_| get()).collect();
    assert_eq!((answers.len(), requests.len()), (7, 8));
}

#[test]
fn whatever_could_be_sealed_can_be_opened() {
    testing::set_key("k", [7; 32]);
    let large = vec![1; 1 << 20];
    let sealed = keys::seal("k", "", &large).unwrap();
    assert_eq!(sealed.len(), (1 << 20) + 49);
    assert!(keys::open("k", "", &sealed).unwrap() == large);
    assert_eq!(keys::open("k", "", &[&sealed[..], &[0]].concat()), Err(KeyError::TooLarge));
}

#[test]
fn instruments_are_declared_by_the_gateways_rules() {
    use metrics::{Counter, Gauge, Histogram};
    testing::in_configure(|| {
        let invalid = |name: &str| Err(MetricError::InvalidName(name.to_owned()));
        let long = "n".repeat(65);
        for name in ["", "Bad", "a-b", "le", "plugin", &long, "records_folded", "records_ignored_total"] {
            assert_eq!(Counter::declare(name, "", "1", []).map(drop), invalid(name), "{name}");
        }
        for labels in [["le", "a"], ["a", "plugin"], ["a", "A"]] {
            let bad = labels.iter().find(|label| **label != "a").unwrap();
            assert_eq!(Counter::declare("labelled", "", "1", labels).map(drop), invalid(bad));
        }
        assert_eq!(Counter::declare("labelled", "", "1", ["a", "a"]).map(drop), invalid("a"));
        for bounds in [&[2.0, 1.0][..], &[1.0, 1.0], &[f64::NAN], &[f64::INFINITY]] {
            assert_eq!(Histogram::declare("h", "", "1", [], bounds).map(drop), invalid("bounds must be finite and grow"), "{bounds:?}");
        }
        let many: Vec<f64> = (0..65).map(f64::from).collect();
        assert_eq!(Histogram::declare("h", "", "1", [], &many).map(drop), Err(MetricError::TooMany));

        Counter::declare("sent", "", "1", []).unwrap().add(1.0, []);
        Counter::declare("sent_total", "", "1", []).unwrap().add(2.0, []);
        assert_eq!(testing::instrument("sent_total").unwrap().sum(&[]), 3.0, "they are one");
        Histogram::declare("size", "", "By", [], &[1.0]).unwrap();
        let conflict = |declared: Result<(), MetricError>| assert_eq!(declared, Err(MetricError::Conflict));
        conflict(Gauge::declare("sent_total", "", "1", []).map(drop));
        conflict(Gauge::declare("sent", "", "1", []).map(drop));
        conflict(Gauge::declare("size_count", "", "1", []).map(drop));
        conflict(Histogram::declare("size", "", "By", [], &[2.0]).map(drop));
    });
}

#[test]
fn amounts_that_are_no_numbers_are_ignored_and_no_number_of_them_is_too_many() {
    let size = testing::in_configure(|| metrics::Histogram::declare("size", "", "By", [], &[])).unwrap();
    size.record(f64::NAN, []);
    size.record_all(&[1.0; 16_384 + 1], []);
    assert_eq!(testing::instrument("size").unwrap().recorded.len(), 16_385);
}

#[test]
fn keys_are_read_by_the_gateways_rules() {
    let public = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"#;
    for more in [r#"","d":"AA"}"#, r#"","k":"AA"}"#] {
        assert!(matches!(crypto::PublicKey::from_jwk(&format!("{public}{more}")), Err(CryptoError::InvalidKey(_))), "{more}");
    }
    let key = crypto::PublicKey::from_jwk(&format!("{public}\",\"d\":null}}")).unwrap();
    for jwk in [r#"{"kty":"EC","crv":"secp256k1"}"#, r#"{"kty":"OKP","crv":"X25519"}"#, r#"{"kty":"new"}"#, "{}", "no"] {
        assert!(matches!(crypto::PublicKey::from_jwk(jwk), Err(CryptoError::InvalidKey(_))), "{jwk}");
    }
    // One modulus of 2048 bits, with a zero in front and without.
    let rsa = |zeros: &str, digits: usize| {
        let jwk = format!(r#"{{"kty":"RSA","e":"AQAB","n":"{zeros}{}"}}"#, "____".repeat(digits));
        crypto::PublicKey::from_jwk(&jwk).map(|key| key.thumbprint())
    };
    assert_eq!(rsa("AAAA", 86).unwrap(), rsa("", 86).unwrap());
    assert!(rsa("AAAA", 85).is_err(), "zeros make it no longer");
    let half = vec![0; (1 << 19) + 1];
    assert_eq!(crypto::hmac(crypto::DigestAlgorithm::Sha256, &half, &half), Err(CryptoError::TooLarge));
    assert_eq!(key.verify("EdDSA", &half, &half), Err(CryptoError::TooLarge));
}
