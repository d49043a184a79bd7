//! What hooks answer: the gateway's rules for it, and what becomes of the request.

use crate::testing::{self, json};
use crate::{
    Attempt, AuthError, Authorizer, Decision, Endpoint, EndpointId, Error, Flow, ForwardError, Forwarder, Identity, LocalResponse,
    NoConfig, Plan, Plugin, Request, RequestFilter, Response, ResponseFilter, RouteError, Router, header,
};

/// Leaves an attribute in each hook, and answers as the test has it.
struct Answers;

thread_local! {
    static ANSWER: std::cell::RefCell<Option<LocalResponse>> = const { std::cell::RefCell::new(None) };
    static UNAVAILABLE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn flow() -> Flow {
    ANSWER.with_borrow(|answer| answer.clone().map_or(Flow::Next, Flow::Respond))
}

impl Plugin for Answers {
    type Config = NoConfig;
    fn configure(_: NoConfig) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Authorizer for Answers {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        request.set_attribute("seen", true)?;
        match flow() {
            Flow::Respond(answer) => Ok(Decision::Respond(answer)),
            Flow::Next if UNAVAILABLE.get() => Err(AuthError::Unavailable(None)),
            Flow::Next | Flow::NextWith(_) => {
                let mut identity = Identity::new("ann");
                identity.set_scopes(&["s".repeat(16 * 1024).as_str()]);
                Ok(Decision::Allow(identity))
            }
        }
    }
}

impl RequestFilter for Answers {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        request.set_header("x-seen", "1")?;
        Ok(flow())
    }
}

impl ResponseFilter for Answers {
    fn on_response(&self, request: &Request, response: &mut Response) -> Result<Flow, Error> {
        request.set_attribute("seen", true)?;
        response.set_header("x-seen", "1")?;
        Ok(flow())
    }
}

impl Router for Answers {
    fn on_endpoints(&mut self, _: u64, _: Vec<Endpoint>) -> Result<(), Error> {
        Ok(())
    }

    fn route(&self, request: &Request, _: &Attempt) -> Result<EndpointId, RouteError> {
        request.set_attribute("seen", true)?;
        if UNAVAILABLE.get() { Err(RouteError::NoEndpoint) } else { Err("no".into()) }
    }
}

impl Forwarder for Answers {
    fn forward(&self, request: &Request, _: EndpointId, _: &mut Plan) -> Result<(), ForwardError> {
        request.set_attribute("seen", true)?;
        if UNAVAILABLE.get() { Err(ForwardError::Refused) } else { Err("no".into()) }
    }
}

fn answers() -> testing::Configured<Answers> {
    testing::configure::<Answers>(json!({})).unwrap()
}

#[test]
fn an_answer_that_the_gateway_would_not_take_fails_the_call() {
    let headers =
        |count: usize| (0..count).fold(LocalResponse::new(200), |answer, number| answer.with_header(&*format!("x-{number}"), "1"));
    for (answer, why) in [
        (LocalResponse::new(199), "answered with status 199, which is not one of 200 to 599"),
        (LocalResponse::new(600), "answered with status 600, which is not one of 200 to 599"),
        (LocalResponse::text(204, "x"), "answered status 204 with a body"),
        (LocalResponse::text(205, "x"), "answered status 205 with a body"),
        (LocalResponse::text(304, "x"), "answered status 304 with a body"),
        (LocalResponse::text(200, "x".repeat((1 << 20) + 1)), "answered with a body of 1048577 bytes; max_local_body_bytes is 1048576"),
        (headers(65), "answered with 65 headers; max_headers is 64"),
        (LocalResponse::new(200).with_header("x", "v".repeat(32 << 10)), "answered with 32769 bytes of headers; max_header_bytes is 32768"),
        (
            LocalResponse::new(200).with_header(header::CONTENT_LENGTH, "1"),
            "answered with the header content-length, which only the gateway sets",
        ),
        (LocalResponse::new(200).with_header("a b", "1"), "answered with the illegal header name \"a b\""),
        (LocalResponse::new(200).with_header("x", "1\r\ny: 2"), "answered with an illegal value for the header x"),
    ] {
        ANSWER.set(Some(answer));
        let mut request = testing::Request::get("/").build();
        assert_eq!(answers().on_request(&mut request).unwrap_err().to_string(), why);
        assert_eq!(answers().authorize(&mut request).unwrap_err(), AuthError::Failed(why.to_owned()));
        let mut response = testing::Response::new(200).build();
        assert_eq!(answers().on_response(&request, &mut response).unwrap_err().to_string(), why);
        assert_eq!((request.header("x-seen"), request.own_attribute("seen"), response.header("x-seen")), (None, None, None), "{why}");
    }
    for answer in [
        LocalResponse::new(204),
        LocalResponse::text(599, "x".repeat(1 << 20)),
        headers(64),
        LocalResponse::new(200).with_header("x", [0xff]),
    ] {
        ANSWER.set(Some(answer.clone()));
        let mut request = testing::Request::get("/").build();
        assert_eq!(answers().on_request(&mut request).unwrap(), Flow::Respond(answer));
        assert!(request.header("x-seen").is_some());
    }
}

#[test]
fn an_identity_that_grew_too_large_fails_the_call() {
    let mut request = testing::Request::get("/").build();
    let why = "gave an identity of 16387 bytes; max_attribute_bytes is 16384";
    assert_eq!(answers().authorize(&mut request).unwrap_err(), AuthError::Failed(why.to_owned()));
    assert!(request.identity().is_none() && request.own_attribute("seen").is_none());
}

#[test]
fn what_is_no_failure_keeps_its_changes_and_a_failure_takes_them_back() {
    let mut plan = testing::Plan::new("http").build();
    for unavailable in [true, false] {
        UNAVAILABLE.set(unavailable);
        let seen = |request: &Request| request.own_attribute("seen").is_some();
        let mut request = testing::Request::get("/").build();
        assert_eq!(matches!(answers().authorize(&mut request), Err(AuthError::Unavailable(None))), unavailable);
        assert_eq!(seen(&request), unavailable, "authorize");
        let request = testing::Request::get("/").build();
        assert_eq!(answers().route(&request, &testing::Attempt::first()) == Err(RouteError::NoEndpoint), unavailable);
        assert_eq!(seen(&request), unavailable, "route");
        let request = testing::Request::get("/").build();
        assert_eq!(answers().forward(&request, 1, &mut plan) == Err(ForwardError::Refused), unavailable);
        assert_eq!(seen(&request), unavailable, "forward");
    }
}
