//! Headers that a plugin says to an upstream, and no client may, on whichever route it comes.

use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, start, until_logged};
use crate::guest::{config, filters, get, plugin, refused, report, route, seen};

/// A route that is for everybody.
fn public(path: &str, upstream: &str, plugins: &str) -> String {
    format!(
        "[[routes]]\nname = \"{path}\"\nmatch = {{ path = \"/{path}\" }}\nupstream = \"{upstream}\"\npublic = true\nplugins = {plugins}\n"
    )
}

fn ask(address: std::net::SocketAddr, path: &str) -> RawResponse {
    let answer = get(address, path, &[("x-kept-0", "root"), ("X-Kept-0", "admin"), ("x-kept-1", "own")]);
    report(&answer);
    answer
}

#[test]
fn what_a_plugin_says_to_an_upstream_no_client_says_there_on_any_route() {
    let (up, other) = (Upstream::plain("up").unwrap(), Upstream::plain("other").unwrap());
    let text = format!(
        "{HEAD}\n[upstreams.up]\nendpoints = [\"{}\"]\n[upstreams.other]\nendpoints = [\"{}\"]\n{}{}{}{}",
        up.url(),
        other.url(),
        plugin("says", filters(), "mode = \"keep-from-clients\"", ""),
        public("with", "up", "[\"says\"]"),
        public("without", "up", "[]"),
        public("elsewhere", "other", "[]"),
    );
    let gateway = start(&text);
    let address = gateway.address("web").unwrap();
    for (path, kept) in [("/with", None), ("/without", None), ("/elsewhere", Some("root"))] {
        let answer = ask(address, path);
        assert_eq!((seen(&answer, "x-kept-0").as_deref(), seen(&answer, "x-kept-1").as_deref()), (kept, Some("own")), "{path}");
    }
    until_logged(&gateway, "A plugin says these request headers to the upstream");

    // Nor behind a body (RFC 9110, section 6.5.1).
    let mut raw = Raw::connect(address).unwrap();
    let head = "POST /without HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-kept-0, x-sum\r\n\r\n";
    raw.send(format!("{head}5\r\nhello\r\n0\r\nx-kept-0: root\r\nx-sum: 5\r\n\r\n")).unwrap();
    let answer = raw.response().unwrap();
    assert_eq!(report(&answer)["trailers"], serde_json::json!([["x-sum", "5"]]), "{}", answer.text());
}

#[test]
fn a_plugin_keeps_no_more_than_it_may() {
    let upstream = Upstream::plain("up").unwrap();
    let with = |mode: &str| {
        let part = plugin("says", filters(), &format!("mode = \"{mode}\""), "");
        config(&upstream, &[&part, &route("public = true\nplugins = [\"says\"]")])
    };
    start(&with("keep-from-clients:256"));
    // Names are counted, and not configurations: each of these is another one with the same.
    let place = |number: usize| {
        let used = format!(
            "{{ plugin = \"says\", config = {{ mode = \"keep-from-clients:256\", hook = \"{}\" }} }}",
            ["request-filter", "response-filter"][number]
        );
        public(&number.to_string(), "up", &format!("[{used}]"))
    };
    let part = plugin("says", filters(), "mode = \"keep-from-clients:256\"", "");
    start(&config(&upstream, &[&part, &place(0), &place(1)]));
    for (mode, why) in
        [("keep-from-clients:257", "`x-kept-256` cannot be kept from clients"), ("keep-accept", "`accept` cannot be kept from clients: ")]
    {
        let said = refused(&with(mode));
        assert!(said.contains(why), "{mode}: {said}");
    }
}
