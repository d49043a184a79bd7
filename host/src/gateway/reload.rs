//! The thread on which reloads happen. It assembles, compiles and makes instances where nobody is kept waiting by it, and a
//! reload is all or nothing: every worker's share is ready before the first worker gets its own.

mod rejecting;
mod trials;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::catalogue::Catalogue;
use super::fingerprint::Fingerprint;
use super::fixed;
use super::outcome::{Cause, Outcome};
use super::prepare::{Ready, Terminated};
use super::rejection::Rejection;
use super::shown::{Shown, View};
use super::stock::{Scope, Stock};
use super::unix;
use crate::assembly::{Supplies, Version, Workshop};
use crate::config::model::{Config, Source};
use crate::config::{self, Problems, Rejected, defaults};
use crate::plugin::{LoadedComponent, SignatureFile};
use crate::telemetry::{ReloadResult, Telemetry};
use crate::watch::{Touched, Watch};

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Reload, and say how that ended.
    Reload(Cause, oneshot::Sender<Outcome>),
    /// Have an earlier version of a plugin serve, the one whose digest begins so, and say how that ended.
    Rollback { plugin: String, digest: Option<String>, reply: oneshot::Sender<Outcome> },
    /// Have a plugin's canary serve everybody, and say how that ended.
    Promote { plugin: String, reply: oneshot::Sender<Outcome> },
    /// Something happened to files.
    Touched(Touched),
    /// End.
    Stop,
}

/// What was made ready, for the control thread to hand to the workers.
pub(super) struct Install {
    pub(super) config: Arc<Config>,
    pub(super) ready: Ready,
    /// Told when every worker serves by it.
    pub(super) installed: oneshot::Sender<()>,
}

/// How much the thread steps back, as `nice` counts.
const NICE: i32 = 10;

/// How long a reload that files asked for waits before it is tried again, where too many generations are alive.
const AT_THE_CAP: Duration = Duration::from_millis(500);

/// Everything reloads need; it lives on their thread.
pub(super) struct Reloader {
    pub(super) workshop: Workshop,
    pub(super) terminated: Terminated,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) shown: Arc<Shown>,
    pub(super) install: tokio::sync::mpsc::Sender<Install>,
    /// What serves.
    pub(super) config: Arc<Config>,
    pub(super) fingerprint: Fingerprint,
    pub(super) catalogue: Catalogue,
    /// Of the file it came from.
    pub(super) config_digest: String,
    pub(super) last_reload: Value,
}

/// The configuration's file, read.
struct Read {
    digest: String,
    parsed: Result<Arc<Config>, Problems>,
}

/// Starts the thread. It ends when told to, after the reload it is busy with.
///
/// # Errors
/// When the system gives none.
pub(super) fn start(reloader: Reloader) -> std::io::Result<mpsc::Sender<Message>> {
    let (sender, messages) = mpsc::channel();
    let touched = sender.clone();
    let watch = Watch::new(move |event| drop(touched.send(Message::Touched(event))));
    std::thread::Builder::new().name("plugway-reload".into()).spawn(move || {
        // Linux counts this for the thread alone. Workers come first where there are no cores to spare.
        let _ = rustix::process::nice(NICE);
        reloader.run(watch, &messages);
    })?;
    Ok(sender)
}

impl Reloader {
    fn run(mut self, mut watch: Watch, messages: &mpsc::Receiver<Message>) {
        self.follow(&mut watch);
        // What changed since it was read for the start.
        watch.notice(Instant::now());
        let mut looked = Instant::now();
        loop {
            let now = Instant::now();
            let look = (!self.catalogue.canaries.is_empty()).then(|| looked + defaults::CANARY_LOOK);
            let message = match watch.due(now).into_iter().chain(look).min() {
                Some(due) => messages.recv_timeout(due.saturating_duration_since(now)),
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(Message::Touched(touched)) => watch.touched(Instant::now(), &touched),
                Ok(Message::Reload(cause, reply)) => {
                    self.follow(&mut watch);
                    let outcome = self.reload(cause, true);
                    // Whoever asked may be gone.
                    let _ = reply.send(outcome);
                    self.follow(&mut watch);
                }
                Ok(Message::Rollback { plugin, digest, reply }) => {
                    let _ = reply.send(self.roll_back(&plugin, digest.as_deref()));
                    self.follow(&mut watch);
                }
                Ok(Message::Promote { plugin, reply }) => {
                    let _ = reply.send(self.promote(&plugin, Cause::Promote));
                    self.follow(&mut watch);
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if look.is_some_and(|look| look <= Instant::now()) {
                self.judge_canaries();
                looked = Instant::now();
            }
            if let Some(look) = watch.look(Instant::now()) {
                self.follow(&mut watch);
                match self.reload(Cause::Files, look.is_last) {
                    Outcome::NotWhole => watch.was_not_whole(),
                    Outcome::Full => watch.again(Instant::now(), AT_THE_CAP),
                    Outcome::Swapped { .. } => {
                        watch.looked();
                        // Other files may be named now.
                        self.follow(&mut watch);
                    }
                    Outcome::Unchanged { .. } | Outcome::Rejected { .. } | Outcome::NoVersion(_) | Outcome::NoCanary(_) => watch.looked(),
                }
            }
        }
    }

    /// Watches what the configuration that serves names, before anything of it is read.
    fn follow(&self, watch: &mut Watch) {
        let files = self.config.plugins.iter().filter_map(|plugin| match &plugin.source {
            Source::File(file) => Some(file),
            Source::Builtin(_) => None,
        });
        // A signature may arrive after what it is for, and may be required later.
        let files: Vec<PathBuf> = files.flat_map(|file| [file.clone(), SignatureFile::beside(file)]).collect();
        let texts = self.config.plugin_texts.iter().map(PathBuf::as_path);
        let files = files.iter().map(PathBuf::as_path).chain([self.config.file.as_path()]).chain(texts);
        watch.follow(files, &self.config.plugin_directory);
    }

    /// One reload, to its end. `is_last` when what is not whole is not waited for any more.
    fn reload(&mut self, cause: Cause, is_last: bool) -> Outcome {
        if self.shown.live().len() >= defaults::LIVE_GENERATIONS {
            if !cause.is_own() {
                tracing::warn!(
                    cause = cause.as_str(),
                    live = defaults::LIVE_GENERATIONS,
                    "A reload was refused: too many generations are alive"
                );
            }
            return Outcome::Full;
        }
        let began = Instant::now();
        let read = self.read_config();
        let newest = read.parsed.as_ref().map_or_else(|_| Arc::clone(&self.config), Arc::clone);
        let stock = self.catalogue.read(&newest);
        if cause == Cause::Files && !is_last && !stock.is_whole() {
            return Outcome::NotWhole;
        }
        let made = match &read.parsed {
            Ok(config) => self.make(config, stock.supplies(config, Scope::Used, &BTreeSet::new())),
            Err(problems) => Err(problems.clone()),
        };
        let outcome = match made {
            Ok(None) => {
                self.catalogue.configuration_is_good();
                Outcome::Unchanged { generation: self.generation() }
            }
            Ok(Some(ready)) => {
                self.catalogue.configuration_is_good();
                self.install(&newest, ready, &stock, cause, began)
            }
            Err(problems) => self.fall_back(&read, &stock, problems, cause, began),
        };
        self.conclude((cause, began), &outcome, &read, &stock);
        outcome
    }

    fn read_config(&self) -> Read {
        let file = &self.config.file;
        let bytes = std::fs::read(file);
        let digest = LoadedComponent::digest(bytes.as_deref().unwrap_or_default());
        let parsed = match config::parse_bytes(bytes, file) {
            Ok(loaded) => Ok(Arc::new(loaded.config)),
            Err(Rejected { problems, .. }) => Err(problems),
        };
        Read { digest, parsed }
    }

    /// Makes a configuration ready, and says by what; `None` when it is what serves.
    fn make(&mut self, config: &Config, supplies: Supplies) -> Result<Option<(Ready, Fingerprint)>, Problems> {
        let fixed = fixed::differences(&self.config, config);
        if !fixed.is_empty() {
            return Err(fixed);
        }
        // Before any of its files is read: one that changes meanwhile is news to the next reload.
        let fingerprint = Fingerprint::of(config);
        if self.catalogue.is_in_use(config, &supplies) && fingerprint == self.fingerprint {
            return Ok(None);
        }
        let ready = Ready::make(&mut self.workshop, config, supplies, config.workers, &mut self.terminated)?;
        Ok(Some((ready, fingerprint)))
    }

    /// Has every worker serve by what is ready.
    fn install(
        &mut self,
        config: &Arc<Config>,
        (ready, fingerprint): (Ready, Fingerprint),
        stock: &Stock,
        cause: Cause,
        began: Instant,
    ) -> Outcome {
        let generation = ready.assembled.snapshot.number;
        let served: Vec<_> = ready.assembled.components(Version::Serving).collect();
        let tried: Vec<_> = ready.assembled.components(Version::Canary).collect();
        let snapshot = Arc::clone(&ready.assembled.snapshot);
        let (installed, done) = oneshot::channel();
        let install = Install { config: Arc::clone(config), ready, installed };
        if self.install.blocking_send(install).is_err() || done.blocking_recv().is_err() {
            // The gateway drains: it serves by what it has.
            return Outcome::Unchanged { generation: self.generation() };
        }
        self.shown.serves(snapshot);
        let mut changes = self.catalogue.serve(config, &served);
        changes.extend(self.catalogue.try_out(config, &tried, &self.telemetry));
        self.catalogue.keep(config, stock);
        if fingerprint != self.fingerprint {
            changes.insert(0, "configuration".to_owned());
        }
        self.config = Arc::clone(config);
        self.fingerprint = fingerprint;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(cause = cause.as_str(), generation, took_ms, changes = changes.join(", "), "Reloaded");
        Outcome::Swapped { generation, changes }
    }

    fn generation(&self) -> u64 {
        self.shown.live().last().map_or(0, |live| live.number)
    }

    /// Counts a reload and shows what came of it.
    fn conclude(&mut self, (cause, began): (Cause, Instant), outcome: &Outcome, read: &Read, stock: &Stock) {
        if !matches!(outcome, Outcome::Rejected { .. }) && !self.catalogue.is_rejected(&read.digest) {
            self.config_digest.clone_from(&read.digest);
        }
        self.catalogue.keep_signatures(&self.config, stock);
        let is_news = cause != Cause::Files || !matches!(outcome, Outcome::Unchanged { .. });
        if is_news {
            let (at, took_ms) = (unix(SystemTime::now()), u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            self.last_reload = json!({ "cause": cause.as_str(), "at": at, "took_ms": took_ms, "outcome": outcome.shown() });
        }
        self.show_rejections();
        self.show(stock);
        // Last: whoever sees the count sees what came of it.
        match outcome {
            Outcome::Swapped { .. } => self.telemetry.reloads().ended(ReloadResult::Swapped),
            Outcome::Rejected { .. } => self.telemetry.reloads().ended(ReloadResult::Rejected),
            // Files are touched for all kinds of reasons.
            Outcome::Unchanged { .. } if cause != Cause::Files => self.telemetry.reloads().ended(ReloadResult::Unchanged),
            _ => {}
        }
    }

    fn show_rejections(&self) {
        self.telemetry.reloads().reject(
            self.catalogue
                .rejected()
                .map(|rejection| (rejection.file.display().to_string(), rejection.digest.clone(), rejection.why))
                .collect(),
        );
    }

    pub(super) fn show(&self, stock: &Stock) {
        let rejected = self.catalogue.rejected().find(|rejection| rejection.plugin.is_none());
        self.shown.show(View {
            plugins: self.catalogue.shown(stock),
            canaries: self.catalogue.shown_canaries(&self.config),
            configuration: json!({
                "file": self.config.file.display().to_string(),
                "digest": format!("sha256:{}", self.config_digest),
                "state": if rejected.is_some() { "rejected" } else { "serving" },
                "rejected": rejected.map(Rejection::shown),
            }),
            unnamed_files: unnamed(&self.config),
            unused_plugins: self.catalogue.unused(&self.config, stock),
            last_reload: self.last_reload.clone(),
        });
    }
}

/// Files in the plugin folder that no plugin is made from.
fn unnamed(config: &Config) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(&config.plugin_directory) else { return Vec::new() };
    let is_named = |path: &Path| config.plugins.iter().any(|plugin| matches!(&plugin.source, Source::File(file) if file == path));
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let is_component = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "wasm") && path.is_file();
    let mut names: Vec<_> = files
        .filter(|path| is_component(path) && !is_named(path))
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}
