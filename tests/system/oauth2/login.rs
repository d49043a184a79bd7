//! A login at a real server, walked as a browser would: its pages, its redirects, its cookies and the gateway's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use plugway_harness::ca::Authority;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;
use serde_json::{Value, json};

use super::server::{SECRET, Server, machine_with};
use crate::common::{BINARY, two_workers};
use crate::guest::{config, report, route};

/// The beginning of no URL.
const NOWHERE: &str = "nowhere";
/// What people know the gateway by.
pub(super) const APP: &str = "https://app.example.com";

pub(super) fn server(ttl: u64) -> Server {
    Server::start_with(&[people(&json!({}))], ttl)
}

/// The gateway as a client that people log in by, with more of RFC 7591; null takes a member away.
pub(super) fn people(more: &Value) -> Value {
    let mut client = json!({
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "redirect_uris": [format!("{APP}/callback")],
        "post_logout_redirect_uris": [format!("{APP}/goodbye")], "scope": "openid orders:read orders:write",
    });
    client.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    machine_with("gateway", client)
}

pub(super) fn gateway(server: &Server, upstream: &Upstream) -> Gateway {
    start(Launch::new(BINARY).unwrap(), server, upstream, |config| config)
}

/// The same with files of its own; `change` is what else is to be in its configuration.
pub(super) fn start(launch: Launch, server: &Server, upstream: &Upstream, change: impl FnOnce(String) -> String) -> Gateway {
    launch.file("secret", SECRET).unwrap();
    launch.file("session", "0123456789abcdef0123456789abcdef").unwrap();
    let parts = [
        "[secrets.gateway]\nfile = \"secret\"\n[secrets.session]\nfile = \"session\"\n".to_owned(),
        format!(
            "[plugins.app]\nsource = \"builtin:oauth2\"\n\
             grants = {{ crypto = {{}}, kv = {{}}, secrets = [\"gateway\"], keys = [\"session\"], http-client = {} }}\n\
             [plugins.app.config]\nissuer = \"{}\"\naudience = \"urn:orders\"\nclient = {{ id = \"gateway\", secret = \"gateway\" }}\n\
             claims_as_headers = {{ \"x-user\" = \"sub\" }}\n\
             login = {{ redirect = \"{APP}/callback\", key = \"session\", scopes = [\"openid\", \"orders:read\"], resource = \"urn:orders\", \
             logout = \"/logout\", after_logout = \"/goodbye\" }}\n",
            server.grant(),
            server.provider.issuer()
        ),
        route("plugins = [\"app\"]"),
    ];
    launch.start(&change(two_workers(&config(upstream, &parts.each_ref().map(String::as_str))))).unwrap()
}

/// A browser: cookies of each site, and where the sites are.
#[derive(Clone)]
pub(super) struct Browser {
    sites: [(String, SocketAddr); 2],
    /// Of the first of them, where it speaks TLS.
    authority: Option<Arc<Authority>>,
    pub(super) cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    pub(super) fn new(server: &Server, gateway: &Gateway) -> Self {
        let sites = [(server.provider.origin().to_owned(), server.provider.address()), (APP.to_owned(), gateway.address("web").unwrap())];
        Self { sites, authority: server.authority_of_tls(), cookies: BTreeMap::new() }
    }

    /// One request, without following where it leads.
    pub(super) fn ask(&mut self, method: &str, url: &str, form: &str) -> RawResponse {
        let (site, address) =
            self.sites.iter().find(|(site, _)| url.starts_with(site.as_str())).unwrap_or_else(|| panic!("sent to {url}")).clone();
        let host = site.split_once("://").unwrap().1;
        let cookies: Vec<String> =
            self.cookies.iter().filter(|((of, _), _)| *of == site).map(|((_, name), value)| format!("{name}={value}")).collect();
        let cookie = if cookies.is_empty() { String::new() } else { format!("cookie: {}\r\n", cookies.join("; ")) };
        let body = if method == "POST" {
            format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n", form.len())
        } else {
            String::new()
        };
        let mut raw = match &self.authority {
            Some(authority) if site == self.sites[0].0 => Raw::connect_tls(address, "localhost", authority).unwrap(),
            _ => Raw::connect(address).unwrap(),
        };
        let head = format!("{method} {} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\n{cookie}{body}\r\n{form}", &url[site.len()..]);
        raw.send(head.as_bytes()).unwrap();
        let answer = raw.response().unwrap();
        for line in String::from_utf8_lossy(&answer.head).lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (pair, attributes) = value.trim().split_once(';').unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                let key = (site.clone(), name.to_owned());
                if value.is_empty() || attributes.contains("Max-Age=0;") {
                    drop(self.cookies.remove(&key))
                } else {
                    drop(self.cookies.insert(key, value.to_owned()))
                }
            }
        }
        answer
    }

    /// Follows redirects until there is a page of the server, or an answer of the gateway that leads nowhere.
    fn follow(&mut self, url: &str) -> (String, RawResponse) {
        self.follow_until(url, NOWHERE)
    }

    /// The same, but for what begins with `stop`: there it is sent, and does not go.
    pub(super) fn follow_until(&mut self, url: &str, stop: &str) -> (String, RawResponse) {
        let mut url = url.to_owned();
        for _ in 0..12 {
            let answer = self.ask("GET", &url, "");
            let Some(to) = location(&answer) else { return (url, answer) };
            url = absolute(&url, &to);
            if url.starts_with(stop) {
                return (url, answer);
            }
        }
        panic!("in a circle at {url}")
    }

    /// Goes there, logs in where that is asked for, and arrives.
    pub(super) fn log_in(&mut self, url: &str, name: &str) -> (String, RawResponse) {
        self.log_in_until(url, name, NOWHERE)
    }

    /// Ann logs in at an application that is the gateway's, and is where she wanted to be.
    pub(super) fn ann_arrives(&mut self, server: &Server, gateway: &Gateway) -> RawResponse {
        let wanted = format!("{APP}/orders");
        let (url, answer) = self.log_in(&wanted, "ann");
        let said = || format!("{}\n{}\n{}", answer.text(), gateway.log().text(), server.provider.said());
        assert_eq!((url, answer.status), (wanted, 200), "{}", said());
        answer
    }

    /// The same, as far as [`follow_until`](Self::follow_until) goes.
    pub(super) fn log_in_until(&mut self, url: &str, name: &str, stop: &str) -> (String, RawResponse) {
        let (mut url, mut answer) = self.follow(url);
        for form in [format!("prompt=login&login={name}&password=any"), "prompt=consent".to_owned()] {
            assert!(url.contains("/interaction/"), "{url}: {}", answer.text());
            let action = answer.text().split("action=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            let submitted = self.ask("POST", &absolute(&url, &action), &form);
            let to = location(&submitted).unwrap_or_else(|| panic!("{}", submitted.text()));
            (url, answer) = self.follow_until(&absolute(&url, &to), stop);
        }
        (url, answer)
    }
}

fn location(answer: &RawResponse) -> Option<String> {
    answer.header("location").map(|value| String::from_utf8_lossy(value).into_owned())
}

fn absolute(base: &str, reference: &str) -> String {
    if reference.contains("://") {
        return reference.to_owned();
    }
    let origin: String = base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{origin}{reference}")
}

#[test]
fn somebody_logs_in_uses_the_app_and_leaves() {
    let (server, upstream) = (server(600), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let mut browser = Browser::new(&server, &gateway);
    let (url, answer) = browser.log_in(&format!("{APP}/orders?page=2"), "ann");
    assert_eq!(
        (url.as_str(), answer.status),
        ("https://app.example.com/orders?page=2", 200),
        "{}\n{}",
        answer.text(),
        server.provider.said()
    );
    let seen = report(&answer);
    let header = |name: &str| plugway_harness::client::reported(&seen, name).first().map(|value| (*value).to_owned());
    assert_eq!((header("x-user").as_deref(), header("cookie"), header("authorization")), (Some("ann"), None, None));
    for event in ["authorization.success", "grant.success"] {
        assert!(server.provider.events(event) >= 1, "no {event}: {}", server.provider.said());
    }
    server.assert_content();
    // On whichever worker.
    let tokens = server.provider.answered("POST /token");
    assert!((0..8).all(|_| browser.ask("GET", &format!("{APP}/orders"), "").status == 200));
    assert_eq!(server.provider.answered("POST /token"), tokens);

    // Somebody else follows a link to the end of a login that is not theirs.
    let mut thief = Browser::new(&server, &gateway);
    let forged = thief.ask("GET", &format!("{APP}/callback?code=stolen&state=guessed"), "");
    assert_eq!((forged.status, thief.cookies.len()), (400, 0));

    let left = browser.ask("GET", &format!("{APP}/logout"), "");
    assert_eq!(left.status, 303);
    assert!(!browser.cookies.keys().any(|(site, _)| site == APP), "{:?}", browser.cookies);
    let (url, page) = browser.follow(&location(&left).unwrap());
    assert!(url.starts_with(server.provider.issuer()) && page.status == 200, "{url}: {}", page.text());
    assert_eq!(browser.ask("GET", &format!("{APP}/orders"), "").status, 302);
    assert!(!gateway.log().text().contains(SECRET));
}

#[test]
fn pages_that_are_opened_at_once_come_back_each_to_its_own() {
    let (server, upstream) = (server(600), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let mut browser = Browser::new(&server, &gateway);
    // Both are on their way to the server before there is any cookie.
    let mut other = browser.clone();
    let (first, _) = browser.follow_until(&format!("{APP}/orders?page=1"), server.provider.issuer());
    let (second, _) = other.follow_until(&format!("{APP}/orders?page=2"), server.provider.issuer());
    browser.cookies.extend(other.cookies);
    let (url, answer) = browser.log_in(&first, "ann");
    assert_eq!((url, answer.status), (format!("{APP}/orders?page=1"), 200), "{}\n{}", answer.text(), server.provider.said());
    // The server knows by now who it is.
    let (url, answer) = browser.follow(&second);
    assert_eq!((url, answer.status), (format!("{APP}/orders?page=2"), 200), "{}\n{}", answer.text(), server.provider.said());
    let kept: Vec<_> = browser.cookies.keys().filter(|(site, _)| site == APP).map(|(_, name)| name.as_str()).collect();
    assert_eq!(kept, ["__Host-plugway"]);
    for event in ["authorization.success", "grant.success"] {
        assert_eq!(server.provider.events(event), 2, "{event}: {}", server.provider.said());
    }
    server.assert_content();
}

#[test]
fn nobody_is_sent_to_another_host_after_a_login() {
    let (server, upstream) = (server(600), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    // To a browser these paths are other hosts.
    for path in ["//evil.example/", "///evil.example", "//evil.example/?a=//b"] {
        let (url, answer) = Browser::new(&server, &gateway).log_in(&format!("{APP}{path}"), "ann");
        assert_eq!((url, answer.status), (format!("{APP}/"), 200), "{path}: {}", answer.text());
    }
    server.assert_content();
}

#[test]
fn a_session_in_kv_is_known_on_both_workers_and_a_logout_ends_it_wherever_its_cookie_is() {
    let (server, upstream) = (server(600), Upstream::plain("up").unwrap());
    let in_kv = |config: String| config.replace("logout = \"/logout\"", "logout = \"/logout\", sessions = \"kv\"");
    let gateway = start(Launch::new(BINARY).unwrap(), &server, &upstream, in_kv);
    let mut browser = Browser::new(&server, &gateway);
    let (_, answer) = browser.log_in(&format!("{APP}/"), "ann");
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), server.provider.said());
    let tokens = server.provider.answered("POST /token");
    assert!((0..8).all(|_| browser.ask("GET", &format!("{APP}/orders"), "").status == 200));
    assert_eq!(server.provider.answered("POST /token"), tokens);
    assert_eq!(
        (server.provider.events("authorization.success"), server.provider.events("grant.success")),
        (1, 1),
        "{}",
        server.provider.said()
    );
    server.assert_content();
    let kept: Vec<_> = browser.cookies.iter().filter(|((site, _), _)| site == APP).collect();
    assert!(kept.len() == 1 && kept[0].1.len() < 200, "no token leaves the gateway: {kept:?}");

    let stolen = browser.cookies.clone();
    assert_eq!(browser.ask("GET", &format!("{APP}/logout"), "").status, 303);
    let mut thief = Browser::new(&server, &gateway);
    thief.cookies = stolen;
    assert!((0..4).all(|_| thief.ask("GET", &format!("{APP}/orders"), "").status == 302));
}

#[test]
fn a_session_is_renewed_at_the_server_before_its_token_ends() {
    // A token of ten seconds is renewed five seconds later.
    let (server, upstream) = (server(10), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let mut browser = Browser::new(&server, &gateway);
    let (_, answer) = browser.log_in(&format!("{APP}/"), "ann");
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), server.provider.said());
    let before = browser.cookies.clone();
    crate::common::until("it is renewed", || {
        assert_eq!(browser.ask("GET", &format!("{APP}/"), "").status, 200, "{}", server.provider.said());
        browser.cookies != before
    });
    assert!(server.provider.events("grant.success") >= 2, "{}", server.provider.said());
    server.assert_content();
    assert_eq!(browser.ask("GET", &format!("{APP}/"), "").status, 200);
}

/// A browser on a route that is not marked is told 401 and is sent nowhere, whatever the route beside it does, and its session counts for nothing there.
#[test]
fn a_route_that_is_not_marked_sends_nobody_to_log_in() {
    let (server, upstream) = (server(600), Upstream::plain("up").unwrap());
    let marked = |config: String| {
        let login = config.lines().find(|line| line.starts_with("login = ")).unwrap().to_owned();

        // A client of the server is for those who log in.
        let client = config.lines().find(|line| line.starts_with("client = ")).unwrap().to_owned();
        let api = "[[routes]]\nname = \"api\"\nmatch = { path = \"/api/*\" }\nupstream = \"up\"\nplugins = [\"app\"]\n";
        let page = format!("plugins = [{{ plugin = \"app\", config = {{ {client}, {login} }} }}]");
        config.replace(&login, "").replace(&client, "").replace("plugins = [\"app\"]", &page) + api
    };
    let gateway = start(Launch::new(BINARY).unwrap(), &server, &upstream, marked);
    let mut browser = Browser::new(&server, &gateway);
    let refused = |browser: &mut Browser, path: &str| {
        let before = browser.cookies.clone();
        let answer = browser.ask("GET", &format!("{APP}{path}"), "");
        assert_eq!((answer.status, location(&answer)), (401, None), "{path}: {}", answer.text());
        let challenge = String::from_utf8_lossy(answer.header("www-authenticate").unwrap()).into_owned();
        assert_eq!(challenge, "Bearer realm=\"urn:orders\"", "{path}");
        assert!(answer.header("set-cookie").is_none() && browser.cookies == before, "{path}");
    };
    for path in ["/api/orders", "/api/callback?code=a&state=b", "/api/logout"] {
        refused(&mut browser, path);
    }
    assert_eq!(browser.ask("GET", &format!("{APP}/orders"), "").status, 302);
    let (url, answer) = browser.log_in(&format!("{APP}/orders"), "ann");
    assert_eq!((url, answer.status), (format!("{APP}/orders"), 200), "{}", answer.text());
    // Logged in where people log in, and nobody elsewhere.
    refused(&mut browser, "/api/orders");
    assert_eq!(upstream.requests(), 1);
    server.assert_content();
}
