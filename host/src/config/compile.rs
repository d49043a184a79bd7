//! From the file as written to the model: names become indices, text becomes what it means, defaults are filled in.
//!
//! A value that is wrong is reported and replaced by whatever lets the rest be checked; a model with such a value in it is
//! never given out.

mod access_log;
mod canary;
mod endpoint;
mod hosts;
mod http_client;
mod listen;
mod paths;
mod plugins;
mod retry;
mod routes;
mod secrets;
mod settings;
mod slo;
mod store;
mod tables;
mod traces;
mod trust;
mod upstreams;
mod values;

#[cfg(test)]
pub(crate) use self::plugins::BUILTINS;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::defaults;
use super::document::{At, Places};
use super::model::{ClientAddressHeader, Config, Position};
use super::problems::Problem;
use super::schema::{self, List};
use super::suggest::advice;

/// How many cores the process may use, as it was when that was first asked: workers cannot change while a gateway runs, whatever becomes of its share of
/// the machine.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));

/// Names that are declared, whether what they name is right or not: a reference to something that is wrong is not wrong itself.
#[derive(Debug, Default)]
pub(super) struct Declared {
    plugins: BTreeMap<String, usize>,
    secrets: BTreeMap<String, usize>,
    upstreams: BTreeMap<String, usize>,
    listeners: usize,
}

/// Checks one file.
pub(super) struct Compiler<'a> {
    file: PathBuf,
    /// What relative paths are relative to.
    folder: PathBuf,
    plugin_directory: PathBuf,
    places: &'a Arc<Places>,
    declared: Declared,
    plugins_used: Vec<bool>,
    secrets_used: Vec<bool>,
    upstreams_used: Vec<bool>,
    plugin_texts: BTreeSet<PathBuf>,
    /// Whether requests have headers with `_` in their names.
    keep_underscores: bool,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Declared {
    /// What a file declares, in order of name.
    pub(super) fn of(tree: &Map<String, Value>) -> Self {
        let names = |section: &str| {
            let mut names: Vec<_> = tree.get(section).and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect();
            names.sort();
            names.into_iter().enumerate().map(|(index, name)| (name, index)).collect::<BTreeMap<_, _>>()
        };
        // Something else than a table is wrong, and reported, but meant to be listeners.
        let listeners = tree.get("listen").map_or(0, |listen| listen.as_object().map_or(1, Map::len));
        Self { plugins: names("plugins"), secrets: names("secrets"), upstreams: names("upstreams"), listeners }
    }
}

impl<'a> Compiler<'a> {
    /// A compiler for a file that was read.
    pub(super) fn new(file: &Path, places: &'a Arc<Places>, declared: Declared) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // Fails only without a current folder; then relative paths stay what they are.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        Self {
            file: file.to_owned(),
            plugin_directory: folder.join(defaults::PLUGIN_DIRECTORY),
            folder,
            places,
            plugins_used: vec![false; declared.plugins.len()],
            secrets_used: vec![false; declared.secrets.len()],
            upstreams_used: vec![false; declared.upstreams.len()],
            declared,
            plugin_texts: BTreeSet::new(),
            keep_underscores: false,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The model of a file. It is complete only if there are no errors.
    pub(super) fn file(&mut self, raw: schema::File) -> Config {
        let root = At::default();
        self.keep_underscores = raw.header_underscores == Some(schema::HeaderUnderscores::Keep);
        if let Some(directory) = raw.plugin_directory {
            self.plugin_directory = self.path(&root.key("plugin_directory"), &directory);
        }
        let cache_directory = match raw.cache_directory {
            Some(directory) => self.path(&root.key("cache_directory"), &directory),
            None => self.user_cache(),
        };
        let state_directory = match raw.state_directory {
            Some(directory) => self.path(&root.key("state_directory"), &directory),
            None => self.user_state(),
        };
        let store = self.store(raw.store.unwrap_or_default(), &state_directory);
        let trust = self.trust(raw.trust.unwrap_or_default());
        let config = Config {
            file: self.file.clone(),
            workers: raw.workers.and_then(|workers| usize::try_from(workers).ok()).unwrap_or(*CORES),
            cache_directory,
            plugin_directory: self.plugin_directory.clone(),
            state_directory,
            keep_versions: settings::count(raw.keep_versions, defaults::KEEP_VERSIONS),
            canary_by: self.canary_by(&root.key("canary_by"), raw.canary_by.unwrap_or_default()),
            listeners: self.listeners(raw.listen),
            admin: self.admin(raw.admin.unwrap_or_default()),
            trusted_proxies: self.trusted_proxies(raw.trusted_proxies.unwrap_or_default()),
            client_address_header: match raw.client_address_header {
                Some(schema::ClientAddressHeader::Forwarded) => ClientAddressHeader::Forwarded,
                Some(schema::ClientAddressHeader::XForwardedFor) | None => ClientAddressHeader::XForwardedFor,
            },
            keep_underscores: self.keep_underscores,
            plugins: self.plugins(raw.plugins, trust.require_signature),
            trust,
            secrets: self.secrets(raw.secrets),
            upstreams: self.upstreams(raw.upstreams),
            // After plugins and upstreams, which they name: a place's table is merged over its plugin's.
            routes: Vec::new(),
            limits: self.limits(raw.limits.unwrap_or_default()),
            timeouts: self.timeouts(raw.timeouts.unwrap_or_default()),
            log: settings::log(raw.log.unwrap_or_default()),
            access_log: self.access_log(raw.access_log.unwrap_or_default()),
            tracing: self.tracing(raw.tracing.unwrap_or_default()),
            // After secrets, which it names.
            otlp: None,
            store,
            // Known when all tables were read.
            plugin_texts: BTreeSet::new(),
            places: Arc::clone(self.places),
        };
        self.check_addresses(&config);
        let otlp = self.otlp(raw.otlp, &config.secrets);
        let routes = self.routes(raw.routes, raw.defaults.unwrap_or_default(), &config);
        self.warn_of_unused();
        self.warn_of_trust_without_keys(&config.trust, &config.plugins);
        self.warn_of_tls_without_use(&config.upstreams, &routes);
        self.warn_of_short_memory(&config.store, &routes);
        Config { routes, otlp, plugin_texts: std::mem::take(&mut self.plugin_texts), ..config }
    }

    /// Errors and warnings.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.errors, self.warnings)
    }

    fn error(&mut self, at: &At, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(Problem::error(self.places.value(at), at.to_string(), message).with_suggestion(help));
    }

    fn warn(&mut self, at: &At, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(Problem::error(self.places.value(at), at.to_string(), message).with_suggestion(help));
    }

    fn position(&self, at: &At) -> Position {
        self.places.value(at)
    }

    /// Reports a name that is not declared, with the ones that are.
    fn unknown(&mut self, at: &At, what: &str, name: &str) {
        let declared = match what {
            "plugin" => &self.declared.plugins,
            "secret" => &self.declared.secrets,
            _ => &self.declared.upstreams,
        };
        let none = format!("there are none: write a table `[{what}s.{name}]`");
        let help = advice(name, declared.keys().map(String::as_str), &none);
        self.error(at, format!("there is no {what} `{name}`"), help);
    }

    fn warn_of_unused(&mut self) {
        let mut unused = Vec::new();
        for (section, declared, used) in [
            ("plugins", &self.declared.plugins, &self.plugins_used),
            ("secrets", &self.declared.secrets, &self.secrets_used),
            ("upstreams", &self.declared.upstreams, &self.upstreams_used),
        ] {
            let names = declared.iter().filter(|(_, index)| used.get(**index).is_some_and(|used| !used));
            unused.extend(names.map(|(name, _)| (At::default().key(section).key(name), section)));
        }
        for (at, section) in unused {
            let (message, help) = match section {
                "plugins" => ("no route uses this plugin", "name it in a route or in `[defaults] plugins`, or remove it"),
                "secrets" => {
                    ("no plugin is granted this secret", "name it in the `grants.secrets` or `grants.keys` of a plugin, or remove it")
                }
                _ => ("no route leads to this upstream", "name it as a route's `upstream`, or remove it"),
            };
            self.warn(&at, message, help);
        }
    }
}

/// The items of a list that are right in themselves, with their places.
fn items<T>(list: List<T>, at: &At) -> impl Iterator<Item = (At, T)> {
    list.into_iter().enumerate().filter_map(|(index, item)| Some((at.index(index), item?)))
}
