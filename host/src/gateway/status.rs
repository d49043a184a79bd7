//! What `/status` shows: what is configured, what serves it, and how it is doing.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::{Instant, SystemTime};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::outcome::{Cause, Outcome};
use super::reload::Message;
use super::shown::{Shown, View};
use super::{Addresses, unix};
use crate::assembly::{Assembled, AssembledPlugin, Version};
use crate::config::defaults::LIVE_GENERATIONS;
use crate::config::model::Config;
use crate::incidents::{self, Asked};
use crate::report::{self, ReportError, Request};
use crate::server::Command;
use crate::server::admin::{Administered, Answer, Operation, Page};
use crate::store;
use crate::telemetry::Telemetry;
use crate::trace::Story;

/// The state the admin listener shows.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) draining: Cell<bool>,
    started: Instant,
    workers: usize,
    store_file: PathBuf,
    listeners: Vec<(String, String)>,
    assembled: RefCell<Rc<Assembled>>,
    telemetry: Arc<Telemetry>,
    shown: Arc<Shown>,
    reloads: mpsc::Sender<Message>,
    commands: Vec<tokio::sync::mpsc::Sender<Command>>,
}

impl Status {
    pub(super) fn new(
        config: &Config,
        addresses: &Addresses,
        assembled: Assembled,
        telemetry: Arc<Telemetry>,
        shown: Arc<Shown>,
        reloads: mpsc::Sender<Message>,
        commands: Vec<tokio::sync::mpsc::Sender<Command>>,
    ) -> Self {
        let listeners = addresses.listeners.iter().map(|(name, address)| (name.clone(), address.to_string())).collect();
        let (draining, started, assembled) = (Cell::new(false), Instant::now(), RefCell::new(Rc::new(assembled)));
        let store_file = config.store.file.clone();
        Self { draining, started, workers: config.workers, store_file, listeners, assembled, telemetry, shown, reloads, commands }
    }

    /// This serves from now on.
    pub(super) fn serves(&self, assembled: Assembled) {
        self.assembled.replace(Rc::new(assembled));
    }

    /// Frees what is left of generations that are over.
    pub(super) fn end_earlier(&self) {
        drop(self.shown.live());
    }

    /// Reloads, and says how that ended.
    pub(super) async fn reload(&self, cause: Cause) -> Option<Outcome> {
        let (reply, outcome) = oneshot::channel();
        self.reloads.send(Message::Reload(cause, reply)).ok()?;
        outcome.await.ok()
    }

    /// Has an earlier version of a plugin serve, and says how that ended.
    async fn roll_back(&self, plugin: String, digest: Option<String>) -> Option<Outcome> {
        let (reply, outcome) = oneshot::channel();
        self.reloads.send(Message::Rollback { plugin, digest, reply }).ok()?;
        outcome.await.ok()
    }

    /// What workers remember of requests with that id or of that trace, or of all; the newest first.
    async fn recall(&self, id: Option<String>) -> Vec<Arc<Story>> {
        let mut stories = Vec::new();
        for worker in &self.commands {
            let (told, telling) = oneshot::channel();
            // One that ends or drains remembers nothing any more.
            if worker.send(Command::Recall(id.clone(), told)).await.is_ok() {
                stories.extend(telling.await.unwrap_or_default());
            }
        }
        stories.sort_by_key(|story| std::cmp::Reverse(story.received));
        stories
    }

    /// Has a plugin's canary serve everybody, and says how that ended.
    async fn promote(&self, plugin: String) -> Option<Outcome> {
        let (reply, outcome) = oneshot::channel();
        self.reloads.send(Message::Promote { plugin, reply }).ok()?;
        outcome.await.ok()
    }

    /// No reload begins any more.
    pub(super) fn end_reloads(&self) {
        // It may have ended by itself.
        drop(self.reloads.send(Message::Stop));
    }

    fn assembled(&self) -> Rc<Assembled> {
        Rc::clone(&self.assembled.borrow())
    }

    fn plugins(&self, view: &View) -> Vec<Value> {
        let assembled = self.assembled();
        let serving = assembled.plugins.iter().filter(|plugin| plugin.version == Version::Serving);
        let tried = || assembled.plugins.iter().filter(|plugin| plugin.version == Version::Canary);
        // It serves a moment before it is known how it does.
        let is_shown = |plugin: &AssembledPlugin| {
            let shown = view.canaries.get(&*plugin.recipe.name);
            shown.is_some_and(|(shown, _)| shown.component.digest == plugin.recipe.component.digest)
        };
        let canary = |name: &str| tried().find(|plugin| *plugin.recipe.name == *name && is_shown(plugin));
        serving.map(|plugin| self.plugin(plugin, canary(&plugin.recipe.name), view)).collect()
    }

    fn plugin(&self, plugin: &AssembledPlugin, canary: Option<&AssembledPlugin>, view: &View) -> Value {
        let name = &plugin.recipe.name;
        let breakers = self.telemetry.plugin_breakers(name).into_iter();
        let breakers = breakers.map(|(hook, reading)| {
            json!({ "hook": hook, "open": reading.open, "opened": reading.opened, "by_failed_cpu": reading.by_failed_cpu })
        });
        let (calls, failures) = self.telemetry.plugin_calls(name);
        let more = json!({
            "configurations": plugin.recipe.configurations.len(),
            "routes": plugin.routes,
            "calls": calls,
            "failures": failures,
            "instances": self.telemetry.plugin_instances(name),
            "breakers": breakers.collect::<Vec<_>>(),
            "canary": canary.map(|canary| self.canary(canary, view)),
        });
        with(with(version(plugin), more), view.plugins.get(&**name).cloned().unwrap_or_default())
    }

    fn canary(&self, canary: &AssembledPlugin, view: &View) -> Value {
        let name = &canary.recipe.name;
        let tally = canary.counted_as.as_ref().map(|version| self.telemetry.version_tally(name, version)).unwrap_or_default();
        let compared = tally.comparisons.iter().map(|((hook, result), count)| json!({ "hook": hook, "result": result, "count": count }));
        let shown = with(version(canary), json!({ "compared": compared.collect::<Vec<_>>() }));
        let settings_and_canary = view.canaries.get(&**name);
        with(shown, settings_and_canary.map(|(canary, settings)| canary.shown(name, settings, &self.telemetry)).unwrap_or_default())
    }

    /// `null` where nothing is stored.
    fn store(&self) -> Value {
        let mut shown = self.telemetry.store().status();
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("file".to_owned(), self.store_file.display().to_string().into());
        }
        shown
    }

    fn upstreams(&self) -> Vec<Value> {
        let now = Instant::now();
        self.assembled()
            .upstreams
            .iter()
            .map(|upstream| {
                let endpoints: Vec<_> = upstream
                    .endpoints
                    .iter()
                    .map(|endpoint| {
                        json!({
                            "id": endpoint.id,
                            "url": endpoint.url,
                            "weight": endpoint.weight,
                            "available": endpoint.is_available(now),
                            "in_flight": endpoint.state.in_flight(),
                            "latency_us": endpoint.state.latency_us(),
                            "connections": endpoint.state.connections(),
                        })
                    })
                    .collect();
                json!({ "name": &*upstream.name, "endpoints": endpoints })
            })
            .collect()
    }

    fn routes(&self) -> Vec<Value> {
        let assembled = self.assembled();
        let routes = assembled.snapshot.routes.iter().zip(&assembled.chains);
        routes
            .map(|(route, chain)| {
                json!({
                    "name": &*route.facts.name,
                    "api": route.facts.api.as_deref(),
                    "version": route.facts.version.as_deref(),
                    "upstream": &*route.upstream.name,
                    "public": route.chain.public,
                    "chain": chain.steps.iter().map(|(what, name)| json!({ "step": what, "plugin": name })).collect::<Vec<_>>(),
                })
            })
            .collect()
    }
}

/// What there is to say of one version of a plugin.
fn version(plugin: &AssembledPlugin) -> Value {
    let component = &plugin.recipe.component;
    json!({
        "name": &*plugin.recipe.name,
        "digest": format!("sha256:{}", component.digest),
        "size_bytes": component.size,
        "sdk": component.sdk,
        "signed_by": plugin.signed_by.as_deref(),
        "hooks": component.rights.hooks.iter().map(|hook| hook.as_str()).collect::<Vec<_>>(),
        "capabilities": component.rights.capabilities,
    })
}

/// The members of both.
fn with(mut first: Value, second: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (first.as_object_mut(), second) {
        members.extend(more);
    }
    first
}

impl Administered for Status {
    fn ready(&self) -> bool {
        !self.draining.get()
    }

    fn metrics(&self) -> Vec<u8> {
        self.telemetry.end_versions();
        self.telemetry.reloads().live(self.shown.live().len());
        self.telemetry.render()
    }

    async fn requests(&self, id: Option<String>) -> Answer {
        let stories = self.recall(id.clone()).await;
        match id {
            None => Answer { status: StatusCode::OK, body: stories.iter().map(|story| story.summary()).collect::<Vec<_>>().into() },
            Some(id) if stories.is_empty() => {
                let detail = "Only requests that failed, were slow or are sampled are remembered, and the oldest are forgotten first.";
                Answer::problem(
                    StatusCode::NOT_FOUND,
                    json!({ "title": "nothing is remembered of this request", "detail": detail, "id": id }),
                )
            }
            Some(_) => Answer { status: StatusCode::OK, body: stories.iter().map(|story| story.json()).collect::<Vec<_>>().into() },
        }
    }

    async fn report(&self, query: &str) -> Page {
        let plain =
            |status, text: String| Page { status, content_type: "text/plain; charset=utf-8", body: format!("{text}\n").into_bytes() };
        if self.telemetry.store().status().is_null() {
            return plain(StatusCode::NOT_FOUND, "nothing is stored: [store] enabled = false".to_owned());
        }
        let (request, format) = match Request::of_query(query) {
            Ok(asked) => asked,
            Err(error) => return plain(StatusCode::BAD_REQUEST, error),
        };
        let file = self.store_file.clone();
        // A year takes seconds, and this thread has others to answer.
        let made = tokio::task::spawn_blocking(move || {
            let now = store::seconds(SystemTime::now());
            report::gather(&file, &request, now).map(|report| report.write(format))
        });
        match made.await {
            Ok(Ok(text)) => Page { status: StatusCode::OK, content_type: format.content_type(), body: text.into_bytes() },
            Ok(Err(error @ ReportError::Unknown(..))) => plain(StatusCode::NOT_FOUND, error.to_string()),
            Ok(Err(error)) => plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    async fn incidents(&self, query: &str) -> Answer {
        if self.telemetry.store().status().is_null() {
            return Answer::problem(StatusCode::NOT_FOUND, json!({ "title": "nothing is stored: [store] enabled = false" }));
        }
        let asked = match Asked::of_query(query) {
            Ok(asked) => asked,
            Err(error) => return Answer::problem(StatusCode::BAD_REQUEST, json!({ "title": error })),
        };
        let file = self.store_file.clone();
        let listed = tokio::task::spawn_blocking(move || incidents::list(&file, &asked, store::seconds(SystemTime::now())));
        match listed.await {
            Ok(Ok(listed)) => Answer { status: StatusCode::OK, body: listed.into() },
            Ok(Err(error)) => Answer::problem(StatusCode::SERVICE_UNAVAILABLE, json!({ "title": error.to_string() })),
            Err(error) => Answer::problem(StatusCode::INTERNAL_SERVER_ERROR, json!({ "title": error.to_string() })),
        }
    }

    async fn operate(&self, operation: Operation) -> Answer {
        let outcome = match operation {
            Operation::Reload => self.reload(Cause::Admin).await,
            Operation::Rollback { plugin, digest } => self.roll_back(plugin, digest).await,
            Operation::Promote { plugin } => self.promote(plugin).await,
        };
        match outcome {
            Some(outcome) => outcome.answer(),
            None => Answer::problem(StatusCode::SERVICE_UNAVAILABLE, json!({ "title": "the gateway is draining" })),
        }
    }

    fn status(&self) -> Value {
        let view = self.shown.view();
        let live: Vec<_> = self.shown.live().iter().map(|live| json!({ "number": live.number, "since": unix(live.since) })).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "draining": self.draining.get(),
            "generation": self.assembled().snapshot.number,
            "generations": { "live": live, "at_most": LIVE_GENERATIONS },
            "configuration": view.configuration,
            "last_reload": view.last_reload,
            "unnamed_files": view.unnamed_files,
            "unused_plugins": view.unused_plugins,
            "listeners": self.listeners.iter().map(|(name, address)| json!({ "name": name, "address": address })).collect::<Vec<_>>(),
            "store": self.store(),
            "incidents": self.shown.incidents.json(),
            "routes": self.routes(),
            "plugins": self.plugins(&view),
            "upstreams": self.upstreams(),
            "workers": (0..self.workers).map(|index| self.telemetry.worker(index).status()).collect::<Vec<_>>(),
        })
    }
}
