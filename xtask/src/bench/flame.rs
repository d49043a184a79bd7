//! `cargo xtask bench flame`: where a request's time goes by name, as a flame graph and as a table of places, sampled by `perf` while a gateway
//! with five plugins answers the small scenario.

use std::path::Path;
use std::time::Duration;

use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options as Folding};
use inferno::flamegraph::color::MultiPalette;
use inferno::flamegraph::{self, Palette};
use plugway_harness::error::Context;
use plugway_harness::peers::Peer;
use plugway_harness::{Error, Result};

use super::figure::{self, Figure};
use super::origin::Origin;
use super::stage::Stage;
use super::statistics::Estimate;
use super::subject::{Built, Entry, Proxy, Subject};
use super::{SHARE, WARM_UP, load, scenario, two_cores};
use crate::{interrupt, plugins, setup, workspace};

/// How much time is spent where.
pub(super) const FILE: &str = "flame.json";
/// The graph.
pub(super) const GRAPH: &str = "flame.svg";

const FIVE: Entry = Entry { name: "plugway + 5 plugins", proxy: Proxy::Plugway, plugins: 5, workers: 1 };
const PERF: Peer = Peer { program: "perf", package: "linux-perf" };
/// Samples per second of CPU time. A prime, so that nothing that repeats is hit each time or never.
const FREQUENCY: u32 = 997;
/// How long it is sampled, and how long it is asked: the load is there before and after.
const LENGTH: Duration = Duration::from_secs(8);
const MARGIN: Duration = Duration::from_secs(2);
/// What no wider than this share of the graph is left out, percent.
const NARROWEST: f64 = 0.2;

/// Samples, draws, prints. `--gateway FILE` takes one that is built already.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let gateway = super::only_gateway(words, "flame")?;
    two_cores()?;
    setup::run()?;
    if PERF.find().is_err() {
        setup::install(&[PERF.package])?;
    }
    let gateway = super::under_test(gateway, super::Build::Ready)?;
    let built = Built { gateway, guest: plugins::build("plugway-bench-guest")?, filters: Vec::new() };
    interrupt::watch()?;
    let origin = Origin::now()?;
    let directory = workspace::bench_directory();
    std::fs::create_dir_all(&directory).context(directory.display())?;
    let stacks = sampled(&built)?;
    std::fs::write(directory.join(GRAPH), graph(&stacks.folded)?).context(GRAPH)?;
    let figures = figures(&stacks, &origin);
    figure::print(&figures);
    println!("\nwritten to target/bench/{GRAPH}");
    figure::keep(FILE, &figures)
}

/// What was sampled.
struct Stacks {
    /// A line for each stack: its frames, the outermost first, separated by `;`, and its CPU time in nanoseconds.
    folded: String,
    /// Requests that were answered meanwhile.
    requests: f64,
}

fn sampled(built: &Built) -> Result<Stacks> {
    let stage = Stage::start(scenario::SMALL)?;
    let subject = Subject::start(FIVE, &stage, built)?;
    subject.wake()?;
    let most = load::flood(&stage, &subject, WARM_UP)?.per_second();
    let file = workspace::bench_directory().join("flame.perf");
    let asked = LENGTH + 2 * MARGIN;
    println!("sampling {} for {} s", FIVE.name, LENGTH.as_secs());
    let answered = std::thread::scope(|scope| {
        let load = scope.spawn(|| load::paced(&stage, &subject, asked, most * SHARE));
        std::thread::sleep(MARGIN);
        let recorded = record(subject.pid(), &file);
        let answered = load.join().map_err(|_| Error::new("the load's thread panicked"))??;
        recorded.map(|()| answered)
    })?;
    subject.stop()?;
    let folded = fold(&file)?;
    std::fs::remove_file(&file).context(file.display())?;
    Ok(Stacks { folded, requests: answered * LENGTH.as_secs_f64() / asked.as_secs_f64() })
}

/// Samples stacks of a process. The stack's memory is copied and unwound later: release builds keep no frame pointers.
fn record(pid: u32, file: &Path) -> Result<()> {
    let (frequency, pid, length) = (FREQUENCY.to_string(), pid.to_string(), LENGTH.as_secs().to_string());
    let words = ["record", "--quiet", "--event", "cpu-clock", "--freq", &frequency, "--call-graph", "dwarf,16384", "--pid", &pid];
    let mut perf = workspace::command(PERF.find()?, words);
    workspace::run(perf.arg("--output").arg(file).args(["--", "sleep", &length]))
}

/// Stacks by name.
fn fold(file: &Path) -> Result<String> {
    println!("reading what was sampled");
    let mut perf = workspace::command(PERF.find()?, ["script", "--no-inline", "--input"]);
    let output = perf.arg(file).output().context("perf script")?;
    if !output.status.success() {
        return Err(Error::new(format!("`perf script` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    // Where a stack is deeper than what was copied of it.
    let whole: String = said.lines().filter(|line| !line.ends_with("[unknown] ([unknown])")).flat_map(|line| [line, "\n"]).collect();
    let mut folding = Folding::default();
    folding.annotate_kernel = true;
    folding.nthreads = 1;
    let mut folded = Vec::new();
    Folder::from(folding).collapse(whole.as_bytes(), &mut folded).context("what perf said")?;
    let folded = String::from_utf8(folded).context("what perf said")?;
    Ok(folded.lines().map(named).collect())
}

/// A stack in which what has no name is called what it is: the only code without symbols is what was compiled of plugins.
fn named(line: &str) -> String {
    let (stack, count) = line.rsplit_once(' ').unwrap_or((line, "0"));
    let frames: Vec<&str> = stack.split(';').map(|frame| if frame.starts_with('[') { GUEST } else { frame }).collect();
    format!("{} {count}\n", frames.join(";"))
}

const GUEST: &str = "a plugin's code";

fn graph(folded: &str) -> Result<String> {
    let mut options = flamegraph::Options::default();
    options.title = "A request through five plugins".to_owned();
    options.count_name = "ns of CPU time".to_owned();
    options.colors = Palette::Multi(MultiPalette::Rust);
    options.deterministic = true;
    options.min_width = NARROWEST;
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, folded.lines(), &mut svg).context("a flame graph")?;
    String::from_utf8(svg).context("a flame graph")
}

const KERNEL: &str = "the kernel: system calls and interrupts";
/// Places by how the names of what is there begin.
const PLACES: [(&str, &[&str]); 4] = [
    ("HTTP: hyper and what it reads and writes with", &["hyper", "http", "bytes", "h2"]),
    ("plugway itself", &["plugway"]),
    ("the way into the sandbox and back: wasmtime", &["wasmtime", "cranelift"]),
    ("memory: asking for it, giving it back, copying it", &["mi_", "_mi_", "__mem", "alloc", "malloc", "free"]),
];
const ELSEWHERE: &str = "elsewhere: tokio, the standard library";

/// Where the innermost frame of a stack is.
fn place(stack: &str) -> &'static str {
    let innermost = stack.rsplit(';').next().unwrap_or_default();
    if innermost.ends_with("_[k]") {
        return KERNEL;
    }
    if innermost == GUEST {
        return GUEST;
    }
    // `<hyper::x as tokio::y>::z` is hyper's.
    let name = innermost.trim_start_matches(['<', '&', '(', '[']);
    let name = name.strip_prefix("dyn ").unwrap_or(name);
    let found = PLACES.iter().find(|(_, beginnings)| beginnings.iter().any(|beginning| name.starts_with(beginning)));
    found.map_or(ELSEWHERE, |(place, _)| place)
}

/// CPU time of each place for a request.
fn figures(stacks: &Stacks, origin: &Origin) -> Vec<Figure> {
    // Each sample counts as long as the clock ran since the one before, in nanoseconds.
    let us = |nanoseconds: f64| nanoseconds / 1e3 / stacks.requests;
    let counted = |wanted: &str| -> f64 {
        let lines = stacks.folded.lines().filter_map(|line| line.rsplit_once(' '));
        lines.filter(|(stack, _)| place(stack) == wanted).filter_map(|(_, count)| count.parse::<f64>().ok()).sum()
    };
    let places = PLACES.map(|(place, _)| place);
    [KERNEL]
        .into_iter()
        .chain(places)
        .chain([GUEST, ELSEWHERE])
        .map(|place| Figure {
            name: place.to_owned(),
            of: FIVE.name.to_owned(),
            unit: "µs".to_owned(),
            estimate: Estimate::of(vec![us(counted(place))]),
            goal: None,
            origin: origin.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDED: &str = "plugway;main;tcp_ack_[k] 5\nplugway;main;<hyper::client::Connection<T,B> as core::future::Future>::poll 2\n\
                          plugway;a plugin's code 1\nplugway;main;_mi_page_malloc 1\nplugway;main;tokio::runtime::park 1\n";

    #[test]
    fn each_sample_is_in_one_place() {
        let origin = Origin { measured_at: "then".to_owned(), commit: "abc".to_owned(), processor: None };
        let figures = figures(&Stacks { folded: FOLDED.to_owned(), requests: 1e-3 }, &origin);
        let us: Vec<f64> = figures.iter().map(|figure| figure.estimate.median).collect();
        assert_eq!(us, [5.0, 2.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn code_without_a_name_is_a_plugins() {
        assert_eq!(named("plugway;main;[perf-7.map];[unknown] 3"), "plugway;main;a plugin's code;a plugin's code 3\n");
    }

    #[test]
    fn a_graph_shows_every_name() {
        let svg = graph(FOLDED).unwrap();
        assert!(["tcp_ack", "s code", "_mi_page_malloc", "tokio::runtime::park"].iter().all(|name| svg.contains(name)), "{svg}");
    }
}
