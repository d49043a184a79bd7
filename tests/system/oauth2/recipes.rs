//! The recipes of `docs/oauth2.md`, as they are written there: `check` takes each, and the one that is a whole configuration serves.

use plugway_harness::ca::Authority;
use plugway_harness::gateway::Launch;
use plugway_harness::guests;
use plugway_harness::upstream::Upstream;
use serde_json::json;

use crate::common::BINARY;
use crate::guest::{check_in, get};
use crate::issuer::{Issuer, now};

/// Blocks of one language, each with the heading it is under.
fn blocks(language: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(guests::root().join("docs/oauth2.md")).unwrap();
    let (mut heading, mut block, mut found) = (String::new(), None::<String>, Vec::new());
    for line in text.lines() {
        match &mut block {
            None => {
                if let Some(title) = line.strip_prefix('#') {
                    heading = title.trim_start_matches('#').trim().to_owned();
                }
                block = line.strip_prefix("```").filter(|named| *named == language).map(|_| String::new());
            }
            Some(text) if line == "```" => {
                found.push((heading.clone(), std::mem::take(text)));
                block = None;
            }
            Some(text) => text.push_str(&format!("{line}\n")),
        }
    }
    found
}

/// The block under a heading.
fn block(language: &str, heading: &str) -> String {
    let found = blocks(language).into_iter().find(|(of, _)| of == heading);
    found.unwrap_or_else(|| panic!("no {language} under {heading:?}")).1
}

const WHOLE: &str = "A key set and nothing else";

/// A recipe with what it leaves out, which is what the document says before.
fn completed(recipe: &str) -> String {
    let mut text = String::new();
    for (what, part) in [
        ("[listen.", "[listen.web]\naddress = \"127.0.0.1:0\"\n"),
        ("[upstreams.", "[upstreams.orders]\nendpoints = [\"http://127.0.0.1:9\"]\n"),
        ("[[routes]]", "[[routes]]\nname = \"orders\"\nmatch = { path = \"/orders/*\" }\nplugins = [\"auth\"]\nupstream = \"orders\"\n"),
    ] {
        if !recipe.contains(what) {
            text.push_str(part);
        }
    }
    if !recipe.contains("[plugins.auth]\n") {
        text.push_str("[plugins.auth]\nsource = \"builtin:oauth2\"\n");
    }
    text + recipe
}

fn folder(jwks: &str) -> Launch {
    let launch = Launch::new(BINARY).unwrap();
    launch.file("jwks.json", jwks).unwrap();
    std::fs::create_dir(launch.directory().join("secrets")).unwrap();
    for secret in ["gateway", "session"] {
        launch.file(&format!("secrets/{secret}"), "a secret of the gateway, and 32 bytes").unwrap();
    }
    launch
}

#[test]
fn every_recipe_is_taken_by_check() {
    let recipes = blocks("toml");
    let under: Vec<&str> = recipes.iter().map(|(heading, _)| heading.as_str()).collect();
    for server in ["Keycloak", "Auth0", "Microsoft Entra ID", "Google", WHOLE, "Opaque tokens", "People with a browser"] {
        assert!(under.contains(&server), "no recipe for {server}: {under:?}");
    }
    let launch = folder(&block("json", WHOLE));
    for (heading, recipe) in &recipes {
        let text = if heading == WHOLE { recipe.clone() } else { completed(recipe) };
        let (output, said) = check_in(&launch, &text);
        assert!(output.status.success(), "{heading}: {said}\n{text}");
        // What `check` takes is what it read: a key that it does not know is a mistake.
        let typo = text.replace("audience = ", "audiance = ");
        assert!(typo != text && !check_in(&launch, &typo).0.status.success(), "{heading}");
    }
}

#[test]
fn the_one_that_is_whole_serves() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("orders").unwrap());
    let text = block("toml", WHOLE);
    let here = text.replace("127.0.0.1:8080", "127.0.0.1:0").replace("http://127.0.0.1:9000", &format!("http://{}", upstream.address()));
    assert!(here.contains("127.0.0.1:0") && here.contains(&upstream.address().to_string()), "{here}");
    let gateway = folder(&issuer.jwks()).start(&here).unwrap();
    let ask = |token: &str| get(gateway.address("web").unwrap(), "/orders/1", &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(get(gateway.address("web").unwrap(), "/orders/1", &[]).status, 401);
    assert_eq!(ask(&issuer.token("orders:read", 600)).status, 200);
    assert_eq!(ask(&issuer.token("orders:write", 600)).status, 403);
    assert_eq!(ask(&Issuer::new().token("orders:read", 600)).status, 401);
    // A day and half a minute.
    assert_eq!(ask(&issuer.token("orders:read", 86_400)).status, 200);
    for end in [json!(now() + 86_500), json!(9_999_999_999_u64), json!(1e308), json!(null)] {
        let refused = ask(&issuer.token_with(json!({ "scope": "orders:read", "exp": end })));
        assert_eq!(refused.status, 401, "{end}");
    }
    assert_eq!(upstream.requests(), 2);
}

#[test]
fn check_says_which_server_the_grant_has_not() {
    let launch = folder(&block("json", WHOLE));
    let fetching = || blocks("toml").into_iter().filter(|(_, recipe)| recipe.contains("hosts = [\""));
    assert!(fetching().count() > 5);
    for (heading, recipe) in fetching() {
        let host = recipe.split("hosts = [\"").nth(1).unwrap().split('"').next().unwrap();
        let text = completed(&recipe).replace(&format!("hosts = [\"{host}\""), "hosts = [\"elsewhere.example.com\"");
        let (output, said) = check_in(&launch, &text);
        assert_eq!(output.status.code(), Some(1), "{heading} is taken: {said}");
        let issuer = format!("`issuer` = \"https://{host}");
        let help = format!("add `grants.http-client.hosts = [\"{host}\"]`, or the upstream whose endpoint it is");
        for part in
            ["plugin `auth` does not take its configuration", &issuer, "the plugin's grant `http-client` does not allow that", &help]
        {
            assert!(said.contains(part), "{heading}: {part} is missing: {said}");
        }
    }
}

#[test]
fn check_says_nothing_of_servers_where_it_is_known_that_their_upstream_is_wrong() {
    let launch = folder(&block("json", WHOLE));
    Authority::new("id").unwrap().write(launch.directory(), "id").unwrap();
    let with = |endpoint: &str, ca: &str| {
        let upstream = format!("[upstreams.id]\nendpoints = [\"{endpoint}\"]\ntls = {{ ca = \"{ca}\" }}\n[plugins.auth]");
        let grants = "grants = { crypto = {}, http-client = { upstreams = [\"id\"] } }";
        let text = block("toml", WHOLE).replace("grants = { crypto = {} }", grants).replace("jwks = { file = \"jwks.json\" }\n", "");
        check_in(&launch, &text.replace("[plugins.auth]", &upstream))
    };
    let (output, said) = with("https://id.example.com", "id.pem");
    assert!(output.status.success(), "{said}");
    let (output, said) = with("https://id.example.com", "missing.pem");
    assert!(!output.status.success() && said.contains("missing.pem") && !said.contains("does not take its configuration"), "{said}");
    let (output, said) = with("https://id.example.com:8443", "id.pem");
    assert!(!output.status.success() && said.contains("(https://id.example.com at port 443)"), "{said}");
}

#[test]
fn check_refuses_what_opens_doors_and_says_which_key_it_is() {
    let whole = block("toml", WHOLE);
    let changed = |from: &str, to: &str| {
        let text = whole.replace(from, to);
        assert!(text != whole, "{from:?} is not in the recipe");
        text
    };
    let keys = "jwks = { file = \"jwks.json\" }";
    let symmetric = "jwks = { keys = [{ kty = \"oct\", k = \"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC0x\" }] }";
    let private = "jwks = { keys = [{ kty = \"OKP\", crv = \"Ed25519\", x = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\", \
                   d = \"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\" }] }";
    let login = |redirect: &str| {
        let grants = "grants = { crypto = {}, kv = {}, keys = [\"gateway\"], secrets = [\"gateway\"], http-client = { hosts = [\"id.example.com\"] } }";
        let login = format!(
            "client = {{ id = \"gateway\", secret = \"gateway\" }}\nlogin = {{ redirect = \"{redirect}\", key = \"gateway\" }}\n{keys}"
        );
        let secret = "[secrets.gateway]\nfile = \"secrets/gateway\"\n[plugins.auth]";
        changed(keys, &login).replace("grants = { crypto = {} }", grants).replace("[plugins.auth]", secret)
    };
    let launch = folder(&block("json", WHOLE));
    let (output, said) = check_in(&launch, &login("https://app.example.com/callback"));
    assert!(output.status.success(), "{said}");
    for (what, text, why) in [
        ("no issuer", changed("issuer = \"https://id.example.com\"\n", ""), "`issuer` is missing"),
        ("an http issuer", changed("https://id.example.com", "http://id.example.com"), "an issuer is reached over https"),
        ("no audience", changed("audience = \"orders\"\n", ""), "`audience` is missing"),
        ("an empty audience", changed("audience = \"orders\"", "audience = [\"\"]"), "`audience` is missing"),
        ("alg none", changed(keys, &format!("algorithms = [\"RS256\", \"none\"]\n{keys}")), "unknown variant `none`"),
        ("a symmetric alg", changed(keys, &format!("algorithms = [\"HS256\"]\n{keys}")), "unknown variant `HS256`"),
        ("a symmetric key", changed(keys, symmetric), "whoever can check with it can also sign"),
        ("a private key", changed(keys, private), "holds a private key"),
        (
            "keys over http",
            changed(keys, "jwks = { url = \"http://id.example.com/keys\" }")
                .replace("{ crypto = {} }", "{ crypto = {}, http-client = { hosts = [\"id.example.com\"] } }"),
            "keys are fetched over https",
        ),
        ("no grant", changed("grants = { crypto = {} }\n", ""), "crypto"),
        ("a wildcard host", login("https://*.example.com/callback"), "a wildcard would let codes go"),
        ("a wildcard path", login("https://app.example.com/*"), "a wildcard would let codes go"),
        ("an http redirect", login("http://app.example.com/callback"), "write an https URL"),
    ] {
        let (output, said) = check_in(&launch, &text);
        assert_eq!(output.status.code(), Some(1), "{what} is taken: {said}");
        assert!(said.contains(why) && said.contains("auth"), "{what}: {said}");
    }
}
