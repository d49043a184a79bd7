//! Chains of plugins that read one header and add one, which is what the bench beside other proxies has.

use criterion::Criterion;
use plugway_harness::guests;

use super::{exchange, head, now, ready};

/// One route with a chain of `length` plugins that read one header and add one.
fn configuration(length: usize) -> String {
    let guest = guests::component(&guests::root(), "plugway-bench-guest").unwrap();
    let mut text = head();
    for index in 0..length {
        text += &format!("[plugins.p{index}]\nsource = \"{}\"\nconfig = {{ header = \"x-plugin-{index}\" }}\n", guest.display());
    }
    let names = (0..length).map(|index| format!("\"p{index}\"")).collect::<Vec<_>>().join(", ");
    text + &format!("[[routes]]\nname = \"all\"\nmatch = {{ path = \"/*\" }}\npublic = true\nupstream = \"up\"\nplugins = [{names}]\n")
}

pub(super) fn chains(criterion: &mut Criterion) {
    for length in [0, 1, 5] {
        let ready = ready(&configuration(length));
        let generation = &ready.generation;
        // Once outside, so that what is measured is known to be the work.
        let (once, _) = now(generation.routes[0].chain.admit(generation, exchange(generation)));
        assert_eq!(once.request.headers.contains_key("x-plugin-0"), length > 0);
        let mut exchange = Some(once);
        criterion.bench_function(&format!("chain of {length}: read a header, add a header"), |bencher| {
            let chain = &generation.routes[0].chain;
            bencher.iter(|| {
                let (back, verdict) = now(chain.admit(generation, exchange.take().unwrap()));
                exchange = Some(back);
                verdict
            });
        });
    }
}
