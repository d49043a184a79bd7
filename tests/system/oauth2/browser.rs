//! A login walked in a real browser: its redirects, its cookies, its policies, over https and with the pages of a real server.

use plugway_harness::browser::Browser;
use plugway_harness::ca::Authority;
use plugway_harness::client::reported;
use plugway_harness::gateway::Launch;
use plugway_harness::upstream::Upstream;
use serde_json::Value;

use super::login::{APP, server, start};
use crate::common::{BINARY, until, until_logged};

#[test]
fn chromium_logs_in_is_kept_logged_in_and_leaves() {
    // Tokens of ten seconds are renewed five seconds later.
    let (server, upstream) = (server(10), Upstream::plain("up").unwrap());
    let (launch, authority) = (Launch::new(BINARY).unwrap(), Authority::new("web").unwrap());
    let certificate = authority.server(&["app.example.com"]).unwrap();
    certificate.write(launch.directory(), "app").unwrap();
    let tls = "[listen.tls]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"app.pem\", key = \"app.key\" }\n[admin]";
    let gateway = start(launch, &server, &upstream, |config| config.replace("[admin]", tls));
    let browser = Browser::start("app.example.com", gateway.address("tls").unwrap(), &certificate).unwrap();

    let page = browser.visit(&format!("{APP}/orders?page=2")).unwrap();
    assert!(page.url.starts_with(&format!("{}/interaction/", server.provider.issuer())), "{page:?}");
    let page = browser.submit(&[("login", "ann"), ("password", "any")], "Sign-in").unwrap();
    assert!(page.url.contains("/interaction/"), "it asks for consent: {page:?}");
    assert_eq!(upstream.requests(), 0);
    let page = browser.submit(&[], "Continue").unwrap();
    assert_eq!((page.url.as_str(), page.status), ("https://app.example.com/orders?page=2", 200), "{page:?}\n{}", server.provider.said());
    let seen: Value = serde_json::from_str(&page.text).unwrap();
    assert_eq!((reported(&seen, "x-user"), reported(&seen, "cookie")), (vec!["ann"], Vec::new()));
    for event in ["authorization.success", "grant.success"] {
        assert_eq!(server.provider.events(event), 1, "{event}: {}", server.provider.said());
    }

    let session = || -> String {
        let cookies = browser.cookies(APP).unwrap();
        let [cookie] = cookies.as_slice() else { panic!("{cookies:?}") };
        assert_eq!((&cookie["name"], &cookie["httpOnly"]), (&"__Host-plugway".into(), &true.into()), "{cookie}");
        assert_eq!((&cookie["secure"], &cookie["sameSite"], &cookie["path"]), (&true.into(), &"Lax".into(), &"/".into()), "{cookie}");
        cookie["value"].as_str().unwrap().to_owned()
    };
    let first = session();
    assert_eq!(browser.evaluate("document.cookie").unwrap(), "", "no script has it");
    until("it is renewed", || {
        assert_eq!(browser.visit(&format!("{APP}/orders")).unwrap().status, 200, "{}", server.provider.said());
        session() != first
    });
    assert!(server.provider.events("grant.success") >= 2, "{}", server.provider.said());

    // A page of another site, here the server's, leads nobody out.
    browser.visit(&format!("{}/.well-known/openid-configuration", server.provider.issuer())).unwrap();
    browser.evaluate(&format!("setTimeout(() => {{ location.href = '{APP}/logout' }}, 0)")).unwrap();
    until("it is there", || browser.evaluate("location.pathname").unwrap() == "/logout");
    until_logged(&gateway, "a logout was refused: a page of another site asked for it");
    let page = browser.visit(&format!("{APP}/orders?page=3")).unwrap();
    assert_eq!((page.url.as_str(), page.status), ("https://app.example.com/orders?page=3", 200), "{page:?}");

    let page = browser.visit(&format!("{APP}/logout")).unwrap();
    assert!(page.url.starts_with(&format!("{}/session/end", server.provider.issuer())), "{page:?}");
    assert_eq!(browser.cookies(APP).unwrap(), Vec::<Value>::new());
    let page = browser.submit(&[], "Yes, sign me out").unwrap();
    assert_eq!(server.provider.events("end_session.success"), 1, "{page:?}\n{}", server.provider.said());
    // Back at a page of the gateway, which nobody is logged in to: the server asks who it is.
    assert!(page.url.starts_with(&format!("{}/interaction/", server.provider.issuer())), "{page:?}");
    server.assert_content();
}
