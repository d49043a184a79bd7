//! Requests on their way, to a side that reads them and to one that does not.

use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::super::encode::tests::Script;
use super::*;

fn begun(body: Script, headers: &[(&str, &str)]) -> Outgoing<Script> {
    let mut outgoing = Outgoing::new();
    let request = headers.iter().fold(Request::post("/"), |request, (name, value)| request.header(*name, *value)).body(body).unwrap();
    outgoing.begin(&request);
    outgoing.body(request.into_body());
    outgoing
}

async fn write(outgoing: &mut Outgoing<Script>, stream: &mut DuplexStream) -> Result<(), Unsent> {
    std::future::poll_fn(|cx| outgoing.poll_write(stream, cx)).await
}

/// All that is written of a body, to a side that takes so many bytes at once.
async fn written(body: Script, headers: &[(&str, &str)], room: usize) -> Result<String, String> {
    let (mut stream, mut other) = duplex(room);
    let mut outgoing = begun(body, headers);
    let reader = async {
        let mut all = String::new();
        other.read_to_string(&mut all).await.unwrap();
        all
    };
    let writer = async {
        let sent = write(&mut outgoing, &mut stream).await;
        drop(stream);
        sent
    };
    let (sent, all) = tokio::join!(writer, reader);
    match sent {
        Ok(()) => {
            assert!(outgoing.is_done() && outgoing.has_begun());
            Ok(all.split_once("\r\n\r\n").unwrap().1.to_owned())
        }
        Err(Unsent::Failed(error)) => Err(error.to_string()),
        Err(Unsent::Gone(error)) => Err(format!("gone: {error}")),
    }
}

#[tokio::test]
async fn a_body_is_written_as_it_was_said_to_be() {
    for room in [1, 7, 1 << 20] {
        let of = |length, data: &[&'static str]| Script::of(length, data);
        assert_eq!(written(of(Some(5), &["ab", "", "cde"]), &[], room).await.as_deref(), Ok("abcde"));
        assert_eq!(written(of(None, &["ab", "", "0123456789"]), &[], room).await.as_deref(), Ok("2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n"));
        assert_eq!(written(of(None, &[]).and(None), &[], room).await.as_deref(), Ok("0\r\n\r\n"));
        let waits = of(None, &["a"]).and(None).and(None).and(Some(Ok(Frame::data(Bytes::from_static(b"b")))));
        assert_eq!(written(waits, &[], room).await.as_deref(), Ok("1\r\na\r\n1\r\nb\r\n0\r\n\r\n"));
    }
}

#[tokio::test]
async fn trailers_go_behind_the_last_chunk() {
    let trailers = || [(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("1"))].into_iter().collect();
    let with = || Script::of(None, &["a"]).and(Some(Ok(Frame::trailers(trailers()))));
    assert_eq!(written(with(), &[("trailer", "x-sum")], 99).await.as_deref(), Ok("1\r\na\r\n0\r\nx-sum: 1\r\n\r\n"));
    assert_eq!(written(with(), &[], 99).await.as_deref(), Ok("1\r\na\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn what_does_not_fit_its_length_is_no_other_request() {
    assert_eq!(written(Script::of(Some(3), &["ab", "cde"]), &[], 99).await.as_deref(), Ok("abc"));
    let short = written(Script::of(Some(3), &["ab"]), &[], 99).await;
    assert_eq!(short, Err("the request's body is shorter than its length".to_owned()));
    let broken = written(Script::of(None, &["ab"]).and(Some(Err("it broke".to_owned()))), &[], 99).await;
    assert_eq!(broken, Err("it broke".to_owned()));
}

#[tokio::test]
async fn a_length_is_the_end_also_where_nobody_says_so() {
    let (mut stream, _other) = duplex(1 << 10);
    let mut outgoing = begun(Script::of(Some(3), &["ab", "c"]).and(None), &[]);
    let ready = std::future::poll_fn(|cx| Poll::Ready(outgoing.poll_write(&mut stream, cx).is_ready())).await;
    assert!(ready && outgoing.is_done());
}

#[tokio::test]
async fn no_more_is_asked_for_than_there_is_room_for() {
    let (mut stream, _other) = duplex(64);
    let long = vec!["0123456789abcdef"; 100];
    let mut outgoing = begun(Script::of(None, &long), &[]);
    let pending = std::future::poll_fn(|cx| Poll::Ready(outgoing.poll_write(&mut stream, cx).is_pending())).await;
    assert!(pending && !outgoing.is_done());
    let left = outgoing.body.as_ref().map(|body| body.frames.len());
    assert!(left.is_some_and(|left| left >= 100 - MAX_PIECES), "{left:?}");
}

#[tokio::test]
async fn who_takes_no_more_is_told_from_what_failed() {
    let (mut stream, other) = duplex(64);
    drop(other);
    let mut outgoing = begun(Script::of(Some(1), &["a"]), &[]);
    assert!(matches!(write(&mut outgoing, &mut stream).await, Err(Unsent::Gone(_))));
    assert!(!outgoing.has_begun());
}
