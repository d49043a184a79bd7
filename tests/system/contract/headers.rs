//! Headers and methods at the border: every line with its bytes, the phases that may change the request's head, and the names that nobody may set.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;

use plugway_harness::client::reported;
use plugway_harness::guests::root;
use plugway_harness::upstream::Upstream;

use crate::common::{Scripted, one_upstream, start, until_logged, web};
use crate::guest::{config, get, plugin, report, route, seen, witness};

/// One head as it came: what these tests send need not be text.
fn head(stream: &mut TcpStream) -> Vec<u8> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    head
}

/// Values of a header, as they stand on the wire.
fn lines<'a>(head: &'a [u8], name: &str) -> Vec<&'a [u8]> {
    let lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let named = lines.filter_map(|line| line.iter().position(|byte| *byte == b':').map(|colon| line.split_at(colon)));
    named.filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value[1..].trim_ascii()).collect()
}

#[test]
fn every_line_of_a_header_is_told_in_order_and_in_bytes() {
    let (sent, received) = mpsc::channel();
    let upstream = Scripted::start(move |_, stream| {
        sent.send(head(stream)).unwrap();
        let answer =
            b"HTTP/1.1 200 OK\r\nX-Many: z\r\nx-other: \xe9\r\nx-many: \xff\xfe\r\nX-MANY:\r\nx-many: a, b\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let part = plugin("witness", witness(), "", "");
    let gateway = start(&format!("{}\n{part}", one_upstream(&[upstream.url()], "", "plugins = [\"witness\"]")));
    let mut client = web(&gateway);
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nX-Ask: values\r\nX-Many: b\r\nx-other: \xc3\x28\r\nx-many: \x80\xff\r\nX-MANY:\r\nx-many: a, b\r\n\r\n";
    client.send(request).unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    let seen = received.recv().unwrap();

    let only = ["a header that may be there once is there more than once; none; c328"];
    assert_eq!(lines(&seen, "x-only").concat(), only.concat().as_bytes());

    // Lines of one name keep their order; those of different names are told name by name.
    for (head, values, told, lined) in [
        (&seen, [&b"b"[..], b"\x80\xff", b"", b"a, b"], "62,80ff,,612c2062", "x-many=62,x-many=80ff,x-many=,x-many=612c2062,x-other=c328"),
        (
            &response.head,
            [&b"z"[..], b"\xff\xfe", b"", b"a, b"],
            "7a,fffe,,612c2062",
            "x-many=7a,x-many=fffe,x-many=,x-many=612c2062,x-other=e9",
        ),
    ] {
        let shown = String::from_utf8_lossy(head).into_owned();
        assert_eq!(lines(head, "x-many"), values, "it passes as it is: {shown}");
        assert_eq!(lines(head, "x-values"), [told.as_bytes()], "{shown}");
        assert_eq!(lines(head, "x-no-values"), [b""], "{shown}");
        assert_eq!(lines(head, "x-lines"), [lined.as_bytes()], "{shown}");
        assert_eq!(lines(head, "x-line"), [b"\xe9"], "{shown}");
    }
}

#[test]
fn a_line_that_comes_with_the_answer_is_set_and_one_that_nobody_may_set_is_a_failure() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("witness", witness(), "", "");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"witness\"]")]));
    let ask = |name: &str| get(gateway.address("web").unwrap(), "/", &[("x-ask", &format!("next-with {name}")), ("x-mine", "client's")]);
    for name in ["x-new", "X-Mine"] {
        let (response, name) = (ask(name), name.to_ascii_lowercase());
        assert_eq!(reported(&report(&response), &name), ["left"], "in place of the client's");
        assert_eq!(response.header(&name), Some(&b"left"[..]));
        assert!(response.header("x-origin").is_some(), "with what was set before");
    }
    // Neither a request nor a response may have the one from a plugin; a response the other.
    for name in ["connection", "x-request-id"] {
        assert_eq!(ask(name).status, 500, "{name}");
    }
    until_logged(&gateway, "with its answer: only the gateway sets this header");
    assert_eq!(ask("x-new").status, 200, "it is as a refusal of its own");
}

#[test]
fn a_request_filter_sets_the_method_and_an_authorizer_does_not() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("witness", witness(), "", "");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"witness\"]")]));
    let address = gateway.address("web").unwrap();
    for (asked, said, method) in [
        ("PUT", "ok", "PUT"),
        ("PROPFIND", "ok", "PROPFIND"),
        ("CONNECT", "forbidden", "GET"),
        ("TRACE", "forbidden", "GET"),
        ("no method", "invalid", "GET"),
    ] {
        let told = report(&get(address, "/as/asked?and=so", &[("x-ask", &format!("set-method {asked}"))]));
        assert_eq!((reported(&told, "x-said"), reported(&told, "x-method")), (vec![said], vec![method]), "{asked}");
        assert_eq!((&told["method"], &told["target"]), (&method.into(), &"/as/asked?and=so".into()), "{asked}");
    }
    let response = get(address, "/as/asked?and=so", &[("x-ask", "authorize")]);
    assert_eq!(seen(&response, "x-authorizer").as_deref(), Some("immutable,immutable,immutable"));
    let told = report(&response);
    assert_eq!((&told["method"], &told["target"]), (&"GET".into(), &"/as/asked?and=so".into()));
}

/// Framing and what belongs to a connection.
const FRAMING: [&str; 11] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// How the gateway tells an upstream what it was asked and by whom.
const IDENTITY: [&str; 11] = [
    "expect",
    "forwarded",
    "host",
    "traceparent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];
/// What looks like one of them and is none.
const FREE: [&str; 8] =
    ["proxy-status", "tracestate", "x-connection", "x-forwarded", "x-forwarded-server", "x-forwarded-user", "x-hosts", "x-stolen"];

/// Each name is tried in both cases and as a number, and held against what the SDK says of it: that knows the host's list by heart.
#[test]
fn no_component_sets_what_frames_a_message_or_says_who_asks() {
    let upstream = Upstream::plain("up").unwrap();
    let known = std::fs::read_to_string(root().join("wit/known-headers.txt")).unwrap();
    let mut names: Vec<&str> = known.lines().chain(FRAMING).chain(IDENTITY).chain(FREE).collect();
    names.sort_unstable();
    names.dedup();
    let part = plugin("witness", witness(), &format!("headers = {names:?}"), "budget = { cpu = \"1s\" }");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"witness\"]")]));
    let response = get(gateway.address("web").unwrap(), "/as/asked", &[("x-ask", "reserved")]);
    let told = report(&response);

    let mut reserved: Vec<&str> = FRAMING.into_iter().chain(IDENTITY).collect();
    reserved.sort_unstable();
    assert_eq!(reported(&told, "x-unlike"), [""], "the host and the SDK differ");
    assert_eq!(reported(&told, "x-forbidden"), [reserved.join(",")]);
    assert_eq!(reported(&told, "x-unlike-left"), [""], "the host and the SDK differ");
    assert_eq!(reported(&told, "x-left"), [FRAMING.join(",")]);
    assert_eq!(response.header("x-unlike"), Some(&b""[..]), "the host and the SDK differ");
    assert_eq!(response.header("x-forbidden"), Some(FRAMING.join(",").as_bytes()));

    assert!(!told.to_string().contains("\"stolen\""), "{told:#}");
    assert_eq!(reported(&told, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(reported(&told, "x-request-id").len(), 1);
    assert!(response.headers.iter().all(|(_, value)| value != b"stolen"), "{:?}", String::from_utf8_lossy(&response.head));
}
