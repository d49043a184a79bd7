//! What a gateway at work holds in memory. The footprint of a release build is `cargo xtask bench footprint`'s; this is the part that no
//! build changes: heap, stacks and instances, files left out.

use plugway_harness::process;
use plugway_harness::upstream::Upstream;

use crate::common::{start, two_workers, web};
use crate::guest::{config, filters, plugin, report, route, send};

/// 12 MB were measured; one huge page for each place of the heap that is touched made it 53.
const MOST: u64 = 24 << 20;

#[test]
fn five_plugins_on_two_workers_fit_into_a_small_heap() {
    let upstream = Upstream::plain("up").unwrap();
    let names = ["a", "b", "c", "d", "e"];
    let plugins = names.map(|name| plugin(name, filters(), "mode = \"mark\"", "")).concat();
    let chain = route("public = true\nplugins = [\"a\", \"b\", \"c\", \"d\", \"e\"]");
    let gateway = start(&two_workers(&config(&upstream, &[&plugins, &chain])));
    let mut connections: Vec<_> = (0..32).map(|_| web(&gateway)).collect();
    for _ in 0..20 {
        for raw in &mut connections {
            report(&send(raw, "/", &[]));
        }
    }
    let own = process::own_bytes(gateway.pid()).unwrap();
    assert!(own <= MOST, "{} KiB of its own, at most {} KiB", own >> 10, MOST >> 10);
}
