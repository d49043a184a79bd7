//! What a request costs in instructions, which no machine's mood changes. A debug build has several times those of a release build; what is guarded is that
//! nothing is added on the way of a request unseen.

use std::path::Path;

use plugway_harness::guests;
use plugway_harness::instructions::{self, counts_plugins};
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, one_route};

const GET: &str = "GET /orders/17 HTTP/1.1\r\nhost: shop.example\r\nx-tenant-id: acme\r\n\r\n";

/// At most these of a worker, in a debug build: 180,900 and 26,800 were counted. Another compiler may make others of the same
/// source, which is what the room above the counts is for; who adds to a request raises them, and says so.
const REQUEST: f64 = 199_000.0;
const PLUGIN: f64 = 29_500.0;
/// As many, so that what varies from run to run is a small part of them.
const PLUGINS: u32 = 5;

#[test]
fn a_request_and_a_plugin_execute_no_more_instructions_than_they_did() {
    let upstream = Upstream::plain("up").unwrap();
    let bare = one_route(&upstream, instructions::LIMITS);
    let request = instructions::per_request(Path::new(BINARY), &bare, GET).unwrap();
    println!("a request: {request:.0} instructions");
    assert!(request <= REQUEST, "{request:.0} instructions for a request");
    if counts_plugins() {
        let guest = guests::component(&guests::root(), "plugway-bench-guest").unwrap();
        let names: Vec<String> = (1..=PLUGINS).map(|number| format!("tag-{number}")).collect();
        let each = |name: &String| format!("[plugins.{name}]\nsource = {guest:?}\nconfig = {{ header = \"x-{name}\" }}\n");
        let more = format!("plugins = {names:?}\n{}{}", names.iter().map(each).collect::<String>(), instructions::LIMITS);
        let all = instructions::per_request(Path::new(BINARY), &one_route(&upstream, &more), GET).unwrap();
        let plugin = (all - request) / f64::from(PLUGINS);
        println!("a plugin that reads a header and adds one: {plugin:.0} instructions");
        assert!(plugin <= PLUGIN, "{plugin:.0} instructions for a plugin that reads a header and adds one");
    }
}
