//! A real Prometheus, the store and the report agree to the request: under a load tool's load, across a swap and a graceful restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::peers::H2LOAD;
use plugway_harness::prometheus::Prometheus;

use super::{Counts, Scene, ask, json_report, metrics, sum, traffic};
use crate::common::{BINARY, run, until};
use crate::guest::get;
use crate::reload::{replace, version, version_of};

/// What the load tool sends; half of it matches no route.
const LOAD: i64 = 6_000;

/// What every series grew by over both runs, by its raw samples: `increase` would extrapolate. A counter that fell began anew.
fn grown(prometheus: &Prometheus) -> Counts {
    let data = run(prometheus.api("query?query=plugway_requests_total%5B30m%5D")).unwrap();
    let mut counts = Counts::new();
    for series in data["result"].as_array().unwrap() {
        let label = |name: &str| series["metric"][name].as_str().unwrap().to_owned();
        let (mut before, mut grew) = (0.0, 0.0);
        for sample in series["values"].as_array().unwrap() {
            let value: f64 = sample[1].as_str().unwrap().parse().unwrap();
            grew += if value < before { value } else { value - before };
            before = value;
        }
        *counts.entry((label("route"), label("status").parse().unwrap())).or_default() += grew as i64;
    }
    counts.retain(|_, count| *count > 0);
    counts
}

/// Sends [`LOAD`] requests by h2load, and counts them as it says that they were answered.
fn load(gateway: &Gateway, counts: &mut Counts) {
    let url = |path: &str| format!("http://{}{path}", gateway.address("web").unwrap());
    let mut h2load = Command::new(H2LOAD.find().unwrap());
    h2load.args(["--h1", "-c", "6", "-n", &LOAD.to_string(), &url("/orders/17"), &url("/nothing")]);
    let output = h2load.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find_map(|line| line.strip_prefix("status codes: ")).unwrap_or_else(|| panic!("{said}"));
    let answered: BTreeMap<&str, i64> =
        line.split(", ").filter_map(|part| part.split_once(' ')).map(|(count, class)| (class, count.parse().unwrap())).collect();
    assert_eq!((answered["2xx"] + answered["4xx"], answered["5xx"]), (LOAD, 0), "{said}");
    assert!(answered["2xx"] > 0 && answered["4xx"] > 0, "{said}");
    *counts.entry(("orders".to_owned(), 200)).or_default() += answered["2xx"];
    *counts.entry(("none".to_owned(), 404)).or_default() += answered["4xx"];
}

#[test]
fn prometheus_store_and_report_agree_under_load_across_a_swap_and_a_graceful_restart() {
    let scene = Scene::new();
    let mut counts = Counts::new();
    let (gateway, plugin) = scene.start_with_plugin();
    let admin = gateway.admin().unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/monitoring/alerts.yml").canonicalize().unwrap();
    let prometheus = Prometheus::start(admin, &rules).unwrap();
    let scraped = |counts: &Counts| until("every request in Prometheus", || &grown(&prometheus) == counts);

    traffic(&gateway, &mut counts);
    load(&gateway, &mut counts);
    replace(&plugin, version(2));
    until("version 2 serves", || {
        *counts.entry(("swapped".to_owned(), 200)).or_default() += 1;
        version_of(&get(gateway.address("web").unwrap(), "/swapped", &[])) == 2
    });
    ask(&gateway, &mut counts, ("swapped", "/swapped", 200), 10);
    scraped(&counts);
    assert_eq!(metrics(&gateway), counts);
    gateway.stop().unwrap();

    // At the same address, where Prometheus looks for it. Fewer requests than before: by that it knows that a counter began anew.
    let config = scene.config("").replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{admin}\""));
    let gateway = Launch::new(BINARY).unwrap().start(&config).unwrap();
    assert_eq!(gateway.admin().unwrap(), admin);
    for (route, path, status) in [("orders", "/orders/17", 200), ("gone", "/gone", 502), ("none", "/nothing", 404)] {
        ask(&gateway, &mut counts, (route, path, status), 1);
    }
    scraped(&counts);
    gateway.stop().unwrap();

    assert_eq!(scene.stored("minute"), counts);
    assert_eq!(scene.stored("day"), counts);
    let report = json_report(&scene.file(), &["--since", "1d"]);
    assert_eq!(report["totals"]["requests"], sum(&counts));
    let mut of_routes = BTreeMap::<&str, i64>::new();
    counts.iter().for_each(|((route, _), count)| *of_routes.entry(route).or_default() += count);
    let told: BTreeMap<&str, i64> = report["routes"].as_array().unwrap().iter().fold(BTreeMap::new(), |mut told, route| {
        *told.entry(route["route"].as_str().unwrap()).or_default() += route["requests"].as_i64().unwrap();
        told
    });
    assert_eq!(told, of_routes);
}
