//! The shipped `rate-limit` at work: exact over two workers, counted at the backend.

mod a_second;

use std::time::Instant;

use plugway_harness::client::{Answer, Client};
use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use crate::common::{metric, run, start, two_workers, until};
use crate::guest::{check, config, get, guest, refused, route, send};

/// `[plugins.limit]` with these limits.
fn limit(limits: &str) -> String {
    format!("[plugins.limit]\nsource = \"builtin:rate-limit\"\ngrants = {{ rate-limit = {{}} }}\nconfig = {{ limits = [{limits}] }}\n")
}

/// `more` goes at the end of the file.
fn limited(upstream: &Upstream, limits: &str, more: &str) -> Gateway {
    start(&two_workers(&config(upstream, &[&limit(limits), &route("public = true\nplugins = [\"limit\"]"), more])))
}

/// So many requests on so many connections at once, each client asking again as soon as it is answered.
fn offer(gateway: &Gateway, connections: usize, each: usize) -> Vec<Answer> {
    let address = gateway.address("web").unwrap();
    run(async {
        let clients = (0..connections).map(|_| {
            tokio::task::spawn_local(async move {
                let mut connection = Client::http(address, "example.com").connect().await.unwrap();
                let mut seen = Vec::with_capacity(each);
                for _ in 0..each {
                    seen.push(connection.get("/").await.unwrap());
                }
                seen
            })
        });
        let mut all = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            all.extend(client.await.unwrap());
        }
        all
    })
}

/// Both workers took part: a limit that is exact on one only proves nothing.
fn assert_spread(gateway: &Gateway) {
    for worker in ["worker=\"0\"", "worker=\"1\""] {
        assert!(metric(gateway, "plugway_worker_requests_total", &[worker]) > 0.0, "{worker} served nothing");
    }
}

#[test]
fn two_workers_admit_exactly_the_burst_of_ten_thousand() {
    let upstream = Upstream::plain("up").unwrap();
    // One token in 14 minutes: none comes while this runs.
    let gateway = limited(&upstream, r#"{ name = "all", key = "route", requests = 100, period = "1d", burst = 150 }"#, "");
    let began = Instant::now();
    let seen = offer(&gateway, 40, 250);
    let took = began.elapsed().as_secs() + 1;
    let (admitted, refused): (Vec<_>, Vec<_>) = seen.iter().partition(|response| response.status == 200);
    assert_eq!((admitted.len(), refused.len()), (150, 9_850));
    assert!(refused.iter().all(|response| response.status == 429));
    assert_eq!(upstream.requests(), 150, "counted at the backend");
    assert_spread(&gateway);
    assert_eq!(metric(&gateway, "plugway_plugin_rate_limited_total", &["plugin=\"limit\"", "limit=\"all\""]), 9_850.0);
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);

    // Each worker tells what it took from the one bucket: every number of tokens left was told once, whichever worker it was. Who read the clock a moment
    // before the other one took has all that is missing for that moment longer, which may be one whole token less.
    let mut left: Vec<u32> = admitted.iter().map(|response| stands(response).0).collect();
    left.sort_unstable();
    let (exact, early): (Vec<_>, Vec<_>) = left.iter().zip(0u32..).partition(|(left, number)| *left == number);
    assert!(early.iter().all(|(left, number)| *left + 1 == *number) && exact.len() >= 140, "{left:?}");
    for response in refused {
        let (left, seconds) = stands(response);
        assert_eq!((left, response.header("retry-after")), (0, Some(seconds.to_string().as_str())));
        assert!((864 - took..=864).contains(&seconds), "{seconds} s for one token of 100 a day, {took} s at most since one was taken");
    }
}

/// What an answer's `RateLimit` says of the limit `all`: tokens left, and seconds until one comes.
fn stands(response: &Answer) -> (u32, u64) {
    let text = response.header("ratelimit").unwrap();
    let (left, seconds) = text.strip_prefix("\"all\";r=").and_then(|rest| rest.split_once(";t=")).expect(text);
    (left.parse().unwrap(), seconds.parse().unwrap())
}

#[test]
fn answers_say_how_the_limit_stands() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = limited(&upstream, r#"{ name = "client", key = "client-address", requests = 2, period = "1h" }"#, "");
    let address = gateway.address("web").unwrap();
    let good = get(address, "/", &[]);
    let header =
        |response: &plugway_harness::raw::RawResponse, name| response.header(name).map(|value| String::from_utf8(value.to_vec()).unwrap());
    assert_eq!(good.status, 200);
    assert_eq!(header(&good, "ratelimit-policy").as_deref(), Some("\"client\";q=2;w=3600"));
    let stands = header(&good, "ratelimit").unwrap();
    let seconds: u64 = stands.strip_prefix("\"client\";r=1;t=").unwrap().parse().unwrap();
    assert!((1_700..=1_800).contains(&seconds), "{stands}");
    get(address, "/", &[]);

    let refused = get(address, "/", &[]);
    assert_eq!(refused.status, 429);
    assert_eq!(header(&refused, "content-type").as_deref(), Some("application/problem+json"));
    let wait: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert_eq!(header(&refused, "ratelimit"), Some(format!("\"client\";r=0;t={wait}")));
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["violated-policies"], serde_json::json!(["client"]));
    assert_eq!(upstream.requests(), 2);
}

#[test]
fn it_stands_where_it_is_written_and_counts_for_whom_it_says() {
    let upstream = Upstream::plain("up").unwrap();
    // Behind an authorizer, which says who calls: the guest lets everyone in as one and the same.
    let parts = [
        &guest("auth", "hook = \"authorizer\"", ""),
        &limit(r#"{ name = "caller", key = "identity", requests = 2, period = "1h" }"#),
        &route("plugins = [\"auth\", \"limit\"]"),
    ];
    let gateway = start(&two_workers(&config(&upstream, &parts.map(|part| part.as_str()))));
    let statuses: Vec<u16> = (0..3).map(|_| get(gateway.address("web").unwrap(), "/", &[]).status).collect();
    assert_eq!(statuses, [200, 200, 429]);

    // By the client's address, as a trusted proxy tells it.
    let by_address = limit(r#"{ name = "client", key = "client-address", requests = 1, period = "1h" }"#);
    let text = config(&upstream, &[&by_address, &route("public = true\nplugins = [\"limit\"]")]);
    let gateway = start(&format!("trusted_proxies = [\"127.0.0.1/32\"]\n{}", two_workers(&text)));
    let of = |client: &str| get(gateway.address("web").unwrap(), "/", &[("x-forwarded-for", client)]).status;
    assert_eq!(["192.0.2.1", "192.0.2.2", "192.0.2.1"].map(of), [200, 200, 429]);

    // By a header, in front of everything else; what has none shares one bucket.
    let by_key = limit(r#"{ name = "key", key = { header = "x-api-key" }, requests = 1, period = "1h" }"#);
    let gateway = start(&config(&upstream, &[&by_key, &route("public = true\nplugins = [\"limit\"]")]));
    let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let mut ask = |key: &str| send(&mut raw, "/", &[("x-api-key", key)]);
    assert_eq!([ask("a").status, ask("b").status, ask("a").status], [200, 200, 429]);
    let without = || get(gateway.address("web").unwrap(), "/", &[]).status;
    assert_eq!([without(), without()], [200, 429]);
}

#[test]
fn in_front_of_an_authorizer_it_is_no_mistake() {
    let upstream = Upstream::plain("up").unwrap();
    let limit = limit(r#"{ name = "client", key = "client-address", requests = 2, period = "1h" }"#);
    let auth = guest("auth", "hook = \"authorizer\"", "");
    for more in ["public = true\nplugins = [\"limit\"]", "plugins = [\"limit\", \"auth\"]"] {
        let (output, said) = check(&config(&upstream, &[&limit, &auth, &route(more)]));
        assert!(output.status.success() && !said.contains("asks who is calling"), "{said}");
    }
}

#[test]
fn it_needs_its_grant_and_a_mistake_names_the_key() {
    let upstream = Upstream::plain("up").unwrap();
    let limits = r#"{ name = "all", key = "route", requests = 1, period = "1h" }"#;
    let parts = |plugin: &str| config(&upstream, &[plugin, &route("public = true\nplugins = [\"limit\"]")]);
    let text = refused(&parts(&limit(limits).replace("grants = { rate-limit = {} }\n", "")));
    assert!(text.contains("`rate-limit`, which was not granted") && text.contains("`grants = { rate-limit = {} }`"), "{text}");
    let text = refused(&parts(&limit(&limits.replace("1h", "100ms"))));
    assert!(text.contains("`limits[0].period`") && text.contains("plugin `limit`"), "{text}");
    let text = refused(&parts(&limit(limits).replace("rate-limit = {}", "rate-limit = { max_keys = 0 }")));
    assert!(text.contains("plugins.limit.grants.rate-limit.max_keys"), "{text}");
}

#[test]
fn more_keys_than_there_is_room_for_share_and_are_counted() {
    let upstream = Upstream::plain("up").unwrap();
    let plugin = limit(r#"{ name = "key", key = { header = "x-api-key" }, requests = 1, period = "1h" }"#)
        .replace("rate-limit = {}", "rate-limit = { max_keys = 3 }");
    let gateway = start(&config(&upstream, &[&plugin, &route("public = true\nplugins = [\"limit\"]")]));
    let mut raw = Raw::connect(gateway.address("web").unwrap()).unwrap();
    let mut ask = |key: &str| send(&mut raw, "/", &[("x-api-key", key)]).status;
    assert_eq!(["a", "b", "c"].map(&mut ask), [200; 3]);
    // No bucket is full again for an hour, so the next ones have one together; the first keep theirs.
    assert_eq!(["d", "e", "a"].map(&mut ask), [200, 429, 429]);
    until("the keys to be counted", || metric(&gateway, "plugway_rate_limit_keys", &["plugin=\"limit\""]) == 3.0);
    assert_eq!(metric(&gateway, "plugway_rate_limit_shared_total", &["plugin=\"limit\""]), 2.0);
}
