//! Plugins are compiled in a process of its own, which leaves nothing behind: no memory, and not itself.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::process;
use plugway_harness::temp::TempDir;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, until};
use crate::guest::{check_in, config, filters, get, plugin, route, seen};
use crate::toolchains::{BUDGET, SETTINGS, python};

/// The configuration of one plugin, with a cache that is this test's alone.
fn alone(upstream: &Upstream, cache: &Path, plugin: &str) -> String {
    let rest = config(upstream, &[plugin, &route("public = true\nplugins = [\"one\"]")]);
    format!("cache_directory = {:?}\n{rest}", cache.join("cache"))
}

fn snake() -> String {
    plugin("one", python::component(), SETTINGS, BUDGET)
}

fn start(config: &str) -> Gateway {
    Launch::new(BINARY).unwrap().start(config).unwrap()
}

fn children(gateway: &Gateway) -> u64 {
    process::faults_of_ended_children(gateway.pid()).unwrap()
}

#[test]
fn only_what_is_not_in_the_cache_is_compiled_and_then_in_a_child() {
    let (upstream, folder) = (Upstream::plain("up").unwrap(), TempDir::new().unwrap());
    let text = alone(&upstream, folder.path(), &plugin("one", filters(), "mode = \"mark\"", ""));
    for (start_number, cold) in [true, false, false].into_iter().enumerate() {
        let gateway = start(&text);
        let response = get(gateway.address("web").unwrap(), "/", &[]);
        assert_eq!(response.header("x-plugin"), Some(&b"on"[..]));
        assert_eq!(children(&gateway) > 0, cold, "start {start_number}");
    }
}

#[test]
fn what_check_compiled_run_finds_in_the_cache() {
    let (upstream, folder) = (Upstream::plain("up").unwrap(), TempDir::new().unwrap());
    let text = alone(&upstream, folder.path(), &plugin("one", filters(), "mode = \"mark\"", ""));
    let (output, shown) = check_in(&Launch::new(BINARY).unwrap(), &text);
    assert!(output.status.success(), "{shown}");
    assert_eq!(children(&start(&text)), 0);
}

#[test]
fn without_a_cache_every_start_compiles_and_serves() {
    let (upstream, folder) = (Upstream::plain("up").unwrap(), TempDir::new().unwrap());
    // A file stands where the folder should be.
    folder.write("cache", b"").unwrap();
    let text = alone(&upstream, folder.path(), &plugin("one", filters(), "mode = \"mark\"", ""));
    for _ in 0..2 {
        let gateway = start(&text);
        assert_eq!(get(gateway.address("web").unwrap(), "/", &[]).header("x-plugin"), Some(&b"on"[..]));
        assert!(children(&gateway) > 0);
        assert!(gateway.log().text().contains("the cache folder cannot be used"));
    }
}

#[test]
fn a_program_whose_file_is_gone_still_compiles() {
    let (upstream, folder) = (Upstream::plain("up").unwrap(), TempDir::new().unwrap());
    let text = alone(&upstream, folder.path(), &plugin("one", filters(), "mode = \"mark\"", ""));
    // As after an upgrade: what runs is no file any more.
    let script = r#"cp "$0" running && exec 9< running && rm running && exec /proc/self/fd/9 "$@""#;
    let gateway = Launch::new(BINARY).unwrap().wrapper(["sh", "-c", script]).start(&text).unwrap();
    let running = std::fs::read_link(format!("/proc/{}/exe", gateway.pid())).unwrap();
    assert!(running.to_string_lossy().ends_with("running (deleted)"), "{running:?}");
    assert_eq!(get(gateway.address("web").unwrap(), "/", &[]).header("x-plugin"), Some(&b"on"[..]));
    assert!(children(&gateway) > 0);
}

#[test]
fn compiling_an_interpreter_leaves_no_memory_behind() {
    /// In the gateway it left 270 MB; what two starts differ by without that is below 2 MB.
    const BOUND: u64 = 32 << 20;
    /// Compiling steps back for whatever else runs, and this is 18 MB in a build without optimisation.
    const PATIENCE: Duration = Duration::from_secs(600);
    let (upstream, folder) = (Upstream::plain("up").unwrap(), TempDir::new().unwrap());
    let text = alone(&upstream, folder.path(), &snake());
    let [cold, warm] = [true, false].map(|cold| {
        let gateway = Launch::new(BINARY).unwrap().patience(PATIENCE).start(&text).unwrap();
        let response = get(gateway.address("web").unwrap(), "/", &[("x-tenant-id", "acme")]);
        assert_eq!(seen(&response, "x-hello").as_deref(), Some("hello acme"));
        assert_eq!(children(&gateway) > 0, cold);
        gateway.own_bytes().unwrap()
    });
    assert!(cold < warm + BOUND, "{} MB after compiling, {} MB without", cold >> 20, warm >> 20);
}

/// A `check` that has just begun to compile an interpreter, which takes it seconds, and the process that does it.
struct Compiling {
    check: Child,
    compiler: u32,
    _files: (Launch, TempDir, Upstream),
}

impl Compiling {
    fn start() -> Self {
        let (upstream, folder, launch) = (Upstream::plain("up").unwrap(), TempDir::new().unwrap(), Launch::new(BINARY).unwrap());
        let file = launch.file("plugway.toml", alone(&upstream, folder.path(), &snake())).unwrap();
        let mut command = Command::new(BINARY);
        command.args(["check", "--config"]).arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let check = command.spawn().unwrap();
        let mut compiler = None;
        until("a compiling process", || {
            compiler = process::tree(check.id()).unwrap().into_iter().find(|pid| *pid != check.id());
            compiler.is_some()
        });
        Self { check, compiler: compiler.unwrap(), _files: (launch, folder, upstream) }
    }
}

#[test]
fn a_compiling_process_that_is_killed_is_a_problem_of_that_plugin() {
    let Compiling { check, compiler, _files } = Compiling::start();
    let compiler = rustix::process::Pid::from_raw(i32::try_from(compiler).unwrap()).unwrap();
    rustix::process::kill_process(compiler, rustix::process::Signal::KILL).unwrap();
    let output = check.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("plugin `one` (") && text.contains("plugins.one.source"), "{text}");
    assert!(text.contains("it could not be compiled: the compiling process ended with signal: 9 (SIGKILL)"), "{text}");
    assert!(text.contains("help: see that the gateway may start its own program, and has memory and time for it"), "{text}");
}

#[test]
fn a_compiling_process_does_not_outlive_whoever_started_it() {
    let Compiling { mut check, compiler, _files } = Compiling::start();
    check.kill().unwrap();
    check.wait().unwrap();
    let killed = std::time::Instant::now();
    until("the end of the compiling process", || !process::is_running(compiler));
    assert!(killed.elapsed() < Duration::from_secs(3), "{:?}", killed.elapsed());
}

#[test]
fn the_subcommand_is_for_nobody_else() {
    let help = Command::new(BINARY).arg("--help").output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("compile-component"));
    let mut command = Command::new(BINARY);
    command.arg("compile-component").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("compile-component: ") && text.contains("try `plugway check`"), "{text}");
}
