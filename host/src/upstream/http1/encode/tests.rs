//! Heads as they are written.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use http_body_util::{Empty, Full};

use super::*;

/// A body that has frames ready, waits where there is none, and says so much of its length.
#[derive(Debug, Default)]
pub(in super::super) struct Script {
    pub(in super::super) frames: VecDeque<Option<Result<Frame<Bytes>, String>>>,
    pub(in super::super) length: Option<u64>,
}

impl Script {
    /// Frames of data.
    pub(in super::super) fn of(length: Option<u64>, data: &[&'static str]) -> Self {
        Self { frames: data.iter().map(|data| Some(Ok(Frame::data(Bytes::from_static(data.as_bytes()))))).collect(), length }
    }

    pub(in super::super) fn and(mut self, frame: Option<Result<Frame<Bytes>, String>>) -> Self {
        self.frames.push_back(frame);
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match self.frames.pop_front() {
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame.flatten()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn request<B>(method: &str, target: &str, headers: &[(&str, &str)], body: B) -> Request<B> {
    let request = Request::builder().method(method).uri(target);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(body).unwrap()
}

/// A request's head, and whether its connection is to be closed.
fn written<B: Body>(request: &Request<B>) -> (String, bool) {
    let mut out = Vec::new();
    let closes = head(request, &Coding::of(request), &mut out);
    (String::from_utf8(out).unwrap(), closes)
}

#[test]
fn a_head_is_a_line_and_its_headers() {
    let get = request("GET", "/a?b=%20", &[("host", "a.example"), ("x-a", "1"), ("x-a", "2")], Empty::<Bytes>::new());
    assert_eq!(written(&get), ("GET /a?b=%20 HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\nx-a: 2\r\n\r\n".to_owned(), false));
}

#[test]
fn a_target_has_a_path() {
    let first = |target: &str| written(&request("OPTIONS", target, &[], Empty::<Bytes>::new())).0.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(["/", "*", "http://a", "http://a?x=1", "http://a/b?x"].map(first), ["/", "*", "/", "/?x=1", "/b?x"]);
}

#[test]
fn what_is_said_of_a_body_fits_it() {
    let lines = |method: &str, headers: &[(&str, &str)], body: Script| {
        let head = written(&request(method, "/", headers, body)).0;
        head.trim_end().split("\r\n").skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let wrong = [("content-length", "9"), ("transfer-encoding", "gzip")];
    assert_eq!(lines("POST", &wrong, Script::of(Some(3), &["abc"])), ["content-length: 3"]);
    assert_eq!(lines("POST", &wrong, Script::of(None, &["abc"])), ["transfer-encoding: chunked"]);
    assert_eq!(lines("GET", &[], Script::of(None, &["abc"])), ["transfer-encoding: chunked"]);
    assert_eq!(lines("POST", &[("content-length", "0")], Script::of(Some(0), &[])), ["content-length: 0"]);
    assert_eq!(lines("POST", &[], Script::of(Some(0), &[])), Vec::<String>::new());
    assert_eq!(
        written(&request("POST", "/", &[], Full::new(Bytes::from_static(b"abc")))).0,
        "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\n"
    );
}

#[test]
fn a_connection_is_closed_where_the_request_says_so() {
    let closes = |value: &str| written(&request("GET", "/", &[("connection", value)], Empty::<Bytes>::new())).1;
    assert_eq!(["te", "Close", "te, close", "closed"].map(closes), [false, true, true, false]);
}

#[test]
fn trailers_are_those_that_were_announced_and_may_be_some() {
    let announced = request("POST", "/", &[("trailer", "X-Sum, te ,,content-length"), ("trailer", "x-b")], Script::of(None, &["a"]));
    let trailers: HeaderMap = [("x-sum", "1"), ("x-b", "2"), ("x-c", "3"), ("te", "4"), ("content-length", "5")]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    let written = Coding::of(&announced).trailers(trailers.clone());
    let mut lines: Vec<_> = std::str::from_utf8(&written).unwrap().split_terminator("\r\n").collect();
    lines.sort_unstable();
    assert_eq!(lines, ["x-b: 2", "x-sum: 1"]);
    assert!(Coding::Length(3).trailers(trailers).is_empty());
}
