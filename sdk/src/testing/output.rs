//! What a plugin answers, checked as the gateway checks it: a mistake in it is a failure of the call.

use super::identity::FakeIdentity;
use super::response::has_no_body;
use super::rules::{MAX_HEADER_BYTES, MAX_HEADERS, is_header_value, is_token};
use super::{FakeRequest, pass};
use crate::answer::LocalResponse;
use crate::error::ChangeError;
use crate::flow::Flow;
use crate::header::{self, LineNumber};
use crate::identity::Identity;
use crate::plugin::Decision;

/// Bytes of the body of an answer; the gateway's default.
const MAX_BODY: usize = 1 << 20;

/// What a filter says, if it may, and `set` does of it what the gateway does with the answer.
pub(crate) fn flow(flow: Flow, set: impl FnOnce(LineNumber) -> Result<(), ChangeError>) -> Result<Flow, String> {
    match &flow {
        Flow::Next => Ok(flow),
        Flow::NextWith(line) => set(*line).map(|()| Flow::Next).map_err(|error| format!("set a line with its answer: {error}")),
        Flow::Respond(answer) => checked(answer).map(|()| flow),
    }
}

/// What an authorizer says, if it may. Of a pass the changes are made, and its identity is what is left.
pub(crate) fn decision(decision: Decision, request: &FakeRequest) -> Result<Decision, String> {
    match &decision {
        Decision::Allow(identity) => identity.fake().checked().map(|()| decision),
        Decision::AllowBy(pass) => {
            let given = pass::given(pass.number()).ok_or("let a request pass by a number that no pass has")?;
            given.change(request);
            Ok(Decision::Allow(Identity::from_raw(FakeIdentity::from_facts(given.identity.clone()))))
        }
        Decision::Respond(answer) => checked(answer).map(|()| decision),
        Decision::Abstain => Ok(decision),
    }
}

fn checked(answer: &LocalResponse) -> Result<(), String> {
    let (status, body) = (answer.status.0, answer.body.len());
    if !(200..600).contains(&status) {
        return Err(format!("answered with status {status}, which is not one of 200 to 599"));
    }
    if body > MAX_BODY {
        return Err(format!("answered with a body of {body} bytes; max_local_body_bytes is {MAX_BODY}"));
    }
    if has_no_body(status) && body > 0 {
        return Err(format!("answered status {status} with a body"));
    }
    if answer.headers.len() > MAX_HEADERS {
        return Err(format!("answered with {} headers; max_headers is {MAX_HEADERS}", answer.headers.len()));
    }
    let bytes: usize = answer.headers.iter().map(|line| line.name.len() + line.value.len()).sum();
    if bytes > MAX_HEADER_BYTES {
        return Err(format!("answered with {bytes} bytes of headers; max_header_bytes is {MAX_HEADER_BYTES}"));
    }
    for line in &answer.headers {
        let name = &line.name;
        if !is_token(name) {
            return Err(format!("answered with the illegal header name {name:?}"));
        }
        if header::is_reserved_in_response(name) {
            return Err(format!("answered with the header {name}, which only the gateway sets"));
        }
        if !is_header_value(&line.value) {
            return Err(format!("answered with an illegal value for the header {name}"));
        }
    }
    Ok(())
}
