//! `cargo xtask`: every command of the README. Nothing else has to be installed or remembered.

mod admin;
mod bench;
mod conformance;
mod demo;
mod interrupt;
mod metrics;
mod monitoring;
mod plugins;
mod release;
mod setup;
mod soak;
mod test;
mod token;
mod workspace;

use std::process::ExitCode;

use plugway_harness::{Error, Result};

const HELP: &str = "\
cargo xtask COMMAND

  setup            install what is missing: the target wasm32-wasip2, Debian's nginx, wrk, h2load, curl, Prometheus, Chromium,
                   valgrind, Node and Python, componentize-py, npm's oidc-provider, oauth4webapi and playwright-core
  test             setup, then build everything and run every test
  demo             run the gateway with every shipped plugin in front of four upstreams and one not to trust, until Ctrl-C, at 8443 and 9901
                   --free-ports: at others; --gateway FILE: one that is built already
  demo --once      send it some hundred requests, print what happened, exit 0 when all of it was right; target/demo/report.html is the
                   report of that traffic
  bench            measure CPU time per request beside nginx (15 pairs of 3 s), of the gateway as it is shipped: where `release` was not run
                   of these sources, that is done first; JSON goes to target/bench/latest.json
                   --plain: as cargo builds it; --gateway FILE: another one
  bench --quick    the same with 3 pairs of 2 s, of a plain build where none is there that would be shipped
  bench monitoring what metrics, traces of 1 % and the access log cost, each and together; target/bench/monitoring.json
                   --quick, --plain, --gateway FILE: as for the others
  bench peers      the same beside HAProxy, Envoy, Traefik and nginx with Lua, which it installs, in 17 scenarios (an hour and a half);
                   target/bench/peers.json, peers.html. --quick: the small scenario alone, in five minutes. --brief: all of it, few rounds
                   --scenario NAME, --only ROW,ROW, --rounds N: a part of it; --plain, --gateway FILE: as for `bench`;
                   --fresh: forgets what was measured before
  bench hooks      nanoseconds of each hook and each capability call; target/bench/hooks.json
                   --profiled: built as `release` builds, by the profile that it left
  bench footprint  memory, idle connections, starts, compilation; target/bench/footprint.json
  bench flame      where a request's time goes, by name, as `perf` sees it; target/bench/flame.svg, flame.json. --gateway FILE: as for the others
  bench report     docs/performance.md and its plots, from what the others left; --committed: from what it kept then. It fails, once all
                   is written, where all of a goal's interval is past it
  soak             swap a plugin 1,920 times and reload the configuration 480 times in 20 minutes of steady load, and judge: no request
                   failed, no answer wrong, no stall above 5 ms, memory back to its level. --minutes N; --json FILE: the figures;
                   --gateway FILE: not the one of this checkout
  soak --quick     the same with 200 swaps and 50 reloads, in less than three minutes
  conformance analysis
                   a hundred quiet and a hundred seeded weeks of simulated traffic, and fifty of each of routes that share an upstream:
                   precision and recall of every kind of incident; half an hour
  conformance oauth2
                   an authorization server that rotates its keys, is slow, talks rubbish and dies under 1,000 requests a second; two minutes
                   and a release build
  conformance release
                   the whole-system tests on what `release` built; a build of them, and eight minutes
  conformance store-year
                   generate a year of 200 routes with 10 endpoints and 20 consumers each: at most 2 GB, and its report within 10 s
  monitoring       write alert rules, their tests and the dashboard to examples/monitoring, and the runbook to docs/monitoring.md
  plugins          build the shipped plugins to target/plugins/NAME.wasm
  release          build the gateway by a profile of itself at work, to target/dist/plugway, and put it into the order of that
                   work: twice a release build, and some minutes
  help             this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    if words.iter().any(|word| matches!(*word, "--help" | "-h")) {
        print!("{HELP}");
        return Ok(());
    }
    match words {
        ["setup"] => setup::run(),
        ["test"] => test::run(),
        ["demo", options @ ..] => demo::run(options),
        ["bench", "monitoring", options @ ..] => bench::run_monitoring(options),
        ["bench", "peers", options @ ..] => bench::run_peers(options),
        ["bench", "footprint", options @ ..] => bench::run_footprint(options),
        ["bench", "hooks", options @ ..] => bench::run_hooks(options),
        ["bench", "flame", options @ ..] => bench::run_flame(options),
        ["bench", "report", options @ ..] => bench::run_report(options),
        ["bench", options @ ..] => bench::run(options),
        ["soak", options @ ..] => soak::run(options),
        ["conformance", "analysis"] => conformance::analysis(),
        ["conformance", "oauth2"] => conformance::oauth2(),
        ["conformance", "release"] => conformance::release(),
        ["conformance", "store-year"] => conformance::store_year(),
        ["monitoring"] => monitoring::run(),
        ["plugins"] => plugins::run(),
        ["release"] => release::run(),
        [] | ["help"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Error::new(format!("there is no `cargo xtask {}`\n\n{HELP}", other.join(" ")))),
    }
}
