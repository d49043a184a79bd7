//! The command line.

mod admin;
mod incidents;
mod open_files;
mod plugin;
mod report;
mod running;
mod source;
mod top;
mod why;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use plugway::config::{self, Loaded, plain};
use plugway::gateway::{Gateway, check, explain};
use plugway::plugin::{COMPILE_COMMAND, Compiler, serve_compiler};
use plugway::telemetry::logs;

/// An API gateway that is programmed with WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "plugway", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve traffic until Ctrl-C or SIGTERM; a second one ends at once. SIGHUP reads the configuration again.
    Run {
        /// The configuration file.
        #[arg(long, default_value = "plugway.toml")]
        config: PathBuf,
    },
    /// Find everything that is wrong with a configuration; binds nothing.
    Check {
        /// The configuration file.
        #[arg(long, default_value = "plugway.toml")]
        config: PathBuf,
    },
    /// Write a commented configuration to start from.
    Init {
        /// Where to; an existing file is never overwritten.
        #[arg(default_value = "plugway.toml")]
        file: PathBuf,
    },
    /// Look into plugin files, sign them and check signatures; go back to an earlier version.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Report what the monitoring store knows: traffic, errors, latency, endpoints, consumers, plugins, incidents.
    Report(report::Options),
    /// List what went wrong: since when, by which numbers, and what the likely cause is.
    Incidents(incidents::Options),
    /// Watch a running gateway: rates, errors and latencies of routes, endpoints and plugins.
    Top(top::Options),
    /// Tell what happened to a request that failed, was slow or was sampled: which plugin version decided what, in order.
    Why(why::Why),
    /// Print the configuration's JSON schema, for editors.
    Schema,
    /// How this program compiles a plugin: `run` and `check` start it so, and talk to it by its standard input and output.
    #[command(name = COMPILE_COMMAND, hide = true)]
    CompileComponent,
}

/// Runs the command line.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Run { config } => serve(&config),
        Command::Check { config } => inspect(&config),
        Command::Init { file } => init(&file),
        Command::Plugin(command) => return plugin::run(command),
        Command::Report(options) => report::run(&options),
        Command::Incidents(options) => incidents::run(&options),
        Command::Top(options) => top::run(&options),
        Command::Why(why) => why.run(),
        Command::Schema => print(&config::json_schema()),
        Command::CompileComponent => serve_compiler().map_err(|error| format!("{COMPILE_COMMAND}: {error}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

/// Waits here for what is to be done.
fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(work)
}

fn load(file: &Path) -> Result<Loaded, String> {
    config::load(file).map_err(|rejected| match explain(rejected, compiler()) {
        Ok(problems) => problems.to_string(),
        Err(error) => error.to_string(),
    })
}

fn serve(file: &Path) -> Result<(), String> {
    let Loaded { config, warnings } = load(file)?;
    let log = logs::init(&config.log);
    for warning in &warnings {
        tracing::warn!(key = warning.key, line = warning.position.line, "{}", warning.message);
    }
    open_files::allow(config.limits.max_connections);
    block_on(async {
        // Before anything says that it serves: a signal that nobody listens for kills, and a second one may follow at once.
        let mut signals = Signals::listen().map_err(|error| error.to_string())?;
        let began = Instant::now();
        let starting = tokio::task::spawn_blocking(|| Gateway::start(config, compiler()));
        let started = tokio::select! {
            started = starting => started.map_err(|error| error.to_string())?,
            () = signals.end() => {
                tracing::warn!("Ended before it served");
                drop(log);
                // What is being compiled would be waited for.
                std::process::exit(130);
            }
        };
        let gateway = started.map_err(|error| error.to_string())?;
        // Here and no earlier: a signal may follow at once, and is to find requests that are drained.
        gateway.announce(began.elapsed());
        while let Asked::Reload = signals.next().await {
            gateway.reload().await;
        }
        tokio::select! {
            () = gateway.drain() => {}
            () = signals.end() => {
                tracing::warn!("Ended without draining");
                // Workers may be stuck in whatever made somebody ask twice.
                drop(log);
                std::process::exit(130);
            }
        }
        Ok(())
    })
}

/// What a compiler leaves in memory goes with the child it ran in.
fn compiler() -> Compiler {
    Compiler::this_program().unwrap_or_else(|error| {
        tracing::warn!(%error, "The running program has no name; compiling in the gateway, where it leaves memory behind");
        Compiler::in_process()
    })
}

/// What a signal asks for.
enum Asked {
    Reload,
    End,
}

/// Ctrl-C, SIGTERM and SIGHUP, from the moment it is made.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
    /// What a write past a limit on file sizes raises. Unheard it would kill; heard, the write fails, and whoever wrote knows what to do.
    _file_size: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.terminate.recv() => Asked::End,
        }
    }

    /// What asks for a reload goes unheard.
    async fn end(&mut self) {
        while let Asked::Reload = self.next().await {}
    }
}

fn inspect(file: &Path) -> Result<(), String> {
    let Loaded { config, warnings } = load(file)?;
    let assembled = check(&config, compiler()).map_err(|error| error.to_string())?;
    let mut out = String::new();
    for chain in &assembled.chains {
        out.push_str(&format!("{chain}\n"));
    }
    for warning in warnings.iter().chain(&assembled.warnings).chain(assembled.chains.iter().flat_map(|chain| &chain.warnings)) {
        out.push_str(&format!(
            "warning: {}:{}:{}: {}: {}\n",
            file.display(),
            warning.position.line,
            warning.position.column,
            warning.key,
            plain(&warning.message)
        ));
        if let Some(suggestion) = &warning.suggestion {
            out.push_str(&format!("    help: {}\n", plain(suggestion)));
        }
    }
    out.push_str(&format!(
        "{} is good: {}, {}, {}\n",
        file.display(),
        count(config.routes.len(), "route"),
        count(assembled.plugins.len(), "plugin"),
        count(config.upstreams.len(), "upstream")
    ));
    print(&out)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn init(file: &Path) -> Result<(), String> {
    let mut created = std::fs::OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{} exists; name another file", file.display()),
        _ => format!("{} cannot be written: {error}", file.display()),
    })?;
    created.write_all(config::INIT.as_bytes()).map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    print(&format!("wrote {}; edit it, put the files it names beside it, then run `plugway check --config {0}`\n", file.display()))
}

/// Says what is wrong, on standard error.
fn complain(message: &str) {
    // Whoever read it may be gone, and is answered by how the program ends.
    drop(writeln!(io::stderr(), "{}", message.trim_end()));
}

fn print(text: &str) -> Result<(), String> {
    // A reader such as `head` may be gone.
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}
