//! The harness's own clients against its own servers: what the gateway's tests take for granted.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use http_body_util::BodyExt;
use plugway_harness::body;
use plugway_harness::ca::Authority;
use plugway_harness::client::{Client, get, reported, request};
use plugway_harness::upstream::{Settings, Upstream};

const HOST: &str = "api.example.com";

#[tokio::test]
async fn a_report_shows_the_request_over_tls() {
    let ca = Authority::new("test CA").unwrap();
    let upstream = Upstream::tls("one", &ca.server(&[HOST, "127.0.0.1"]).unwrap()).unwrap();
    let mut connection = Client::https(upstream.address(), HOST, &ca).connect().await.unwrap();
    let mut post = request(Method::POST, "/orders/7?x=1", body::full("hello")).unwrap();
    post.headers_mut().append("x-twice", HeaderValue::from_static("a"));
    post.headers_mut().append("x-twice", HeaderValue::from_static("b"));
    let answer = connection.request(post).await.unwrap();
    let report = answer.json().unwrap();
    assert_eq!(answer.header("x-upstream"), Some("one"));
    assert_eq!((report["method"].as_str(), report["target"].as_str()), (Some("POST"), Some("/orders/7?x=1")));
    assert_eq!((report["sni"].as_str(), report["tls"].as_bool()), (Some(HOST), Some(true)));
    assert_eq!(reported(&report, "x-twice"), ["a", "b"]);
    assert_eq!(report["body"]["length"], 5);
    // `printf hello | sha256sum`
    assert_eq!(report["body"]["sha256"], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert!(String::from_utf8(upstream.wire()).unwrap().starts_with("POST /orders/7?x=1 HTTP/1.1\r\n"));
    assert_eq!((upstream.requests(), upstream.connections()), (1, 1));
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_for_another_name_is_refused() {
    let (ca, other) = (Authority::new("one").unwrap(), Authority::new("other").unwrap());
    let upstream = Upstream::tls("one", &ca.server(&[HOST]).unwrap()).unwrap();
    assert!(Client::https(upstream.address(), HOST, &other).get("/").await.unwrap_err().to_string().contains("UnknownIssuer"));
    let wrong = Client::https(upstream.address(), HOST, &ca).server_name("www.example.com").get("/").await;
    assert!(wrong.unwrap_err().to_string().contains("not valid for name"));
    assert_eq!((upstream.requests(), upstream.bytes()), (0, 0));
}

#[tokio::test]
async fn a_client_certificate_is_demanded_and_reported() {
    let ca = Authority::new("test CA").unwrap();
    let identity = ca.server(&[HOST]).unwrap();
    let upstream =
        Upstream::start(&Settings { identity: Some(&identity), clients: Some(&ca), http2: true, ..Settings::new("mutual") }).unwrap();
    let shown = ca.client("tester").unwrap();
    let client = Client::https(upstream.address(), HOST, &ca);
    assert!(client.get("/").await.is_err());
    for client in [client.clone().identity(&shown), client.identity(&shown).http2()] {
        let report = client.get("/").await.unwrap().json().unwrap();
        assert_eq!(report["client_certificate"].as_str(), Some(shown.fingerprint().as_str()));
    }
    assert_eq!(upstream.requests(), 2);
}

#[tokio::test]
async fn trailers_pass_both_ways_over_either_protocol() {
    let ca = Authority::new("test CA").unwrap();
    let identity = ca.server(&[HOST]).unwrap();
    let upstream = Upstream::start(&Settings { identity: Some(&identity), http2: true, ..Settings::new("one") }).unwrap();
    let client = Client::https(upstream.address(), HOST, &ca);
    for (client, version) in [(client.clone(), Version::HTTP_11), (client.http2(), Version::HTTP_2)] {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-last", HeaderValue::from_static("word"));
        let mut post = request(Method::POST, "/trailers", body::with_trailers("12345", trailers)).unwrap();
        post.headers_mut().insert(header::TRAILER, HeaderValue::from_static("x-last"));
        post.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        let answer = client.connect().await.unwrap().request(post).await.unwrap();
        assert_eq!(answer.version, version);
        assert_eq!(answer.trailers.get("x-sum").unwrap(), "5");
        assert_eq!(answer.trailers.get("x-echo-x-last").unwrap(), "word");
    }
}

#[tokio::test]
async fn an_echo_streams_while_the_request_is_still_sent() {
    let upstream = Upstream::plain("one").unwrap();
    let (mut sender, sent) = body::channel(1);
    let mut connection = Client::http(upstream.address(), HOST).connect().await.unwrap();
    let mut response = connection.send(request(Method::POST, "/echo", sent).unwrap()).await.unwrap();
    for word in ["first", "second"] {
        sender.send(http_body::Frame::data(word.into())).await.unwrap();
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), word);
    }
    drop(sender);
    assert!(response.body_mut().frame().await.is_none());
}

#[tokio::test]
async fn bodies_have_the_length_asked_for() {
    let upstream = Upstream::plain("one").unwrap();
    let mut connection = Client::http(upstream.address(), HOST).connect().await.unwrap();
    for (path, announced) in [("/bytes/100000", Some("100000")), ("/chunked/100000", None)] {
        let answer = connection.get(path).await.unwrap();
        assert_eq!((answer.body.len(), answer.header("content-length")), (100_000, announced));
    }
    assert_eq!(connection.get("/drip/3/1").await.unwrap().text(), "...");
    let mut chosen = get("/orders").unwrap();
    chosen.headers_mut().insert("x-behave", HeaderValue::from_static("/status/418"));
    assert_eq!(connection.request(chosen).await.unwrap().status, StatusCode::IM_A_TEAPOT);
}

#[tokio::test]
async fn closing_and_cutting_are_errors_at_the_client() {
    let upstream = Upstream::plain("one").unwrap();
    let client = Client::http(upstream.address(), HOST);
    assert!(client.get("/close").await.unwrap_err().to_string().starts_with("request"));
    assert!(client.get("/cut").await.unwrap_err().to_string().starts_with("response body"));
    assert_eq!(upstream.requests(), 2);
}

#[tokio::test]
async fn an_early_413_comes_before_the_body_is_sent() {
    let upstream = Upstream::plain("one").unwrap();
    let (_unsent, body) = body::channel(1);
    let mut connection = Client::http(upstream.address(), HOST).connect().await.unwrap();
    let response = connection.send(request(Method::POST, "/early-413", body).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn plain_http2_by_prior_knowledge() {
    let upstream = Upstream::start(&Settings { http2: true, ..Settings::new("h2c") }).unwrap();
    let report = Client::http(upstream.address(), HOST).http2().get("/").await.unwrap().json().unwrap();
    assert_eq!(report["version"], "HTTP/2.0");
}

#[test]
fn a_dropped_upstream_listens_no_more() {
    let upstream = Upstream::plain("one").unwrap();
    let address = upstream.address();
    drop(upstream);
    assert!(std::net::TcpStream::connect(address).is_err());
}
