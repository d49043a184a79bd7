//! The proxies that are measured.

pub(super) mod launch;
pub(super) mod recipe;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use plugway_harness::error::Context;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::{Error, Result, process};
use rustix::process::Signal;

use super::monitored::{Monitors, Watching};
use super::stage::Stage;
use super::template;
use launch::{Running, signal_tree};
use recipe::Recipe;

/// What every request says of its tenant, which plugins read.
pub(super) const TENANT: &str = "acme";
/// What plugins write.
pub(super) const MARK: &str = "on";

/// A proxy and what is built into it; a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The row's name.
    pub(super) name: &'static str,
    pub(super) proxy: Proxy,
    /// Plugins, filters or scripts in its chain, each of which reads one request header and adds one.
    pub(super) plugins: usize,
    /// Threads or processes that serve.
    pub(super) workers: usize,
}

/// Which proxy, and by what it is extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proxy {
    /// Its plugins, if any, are one Lua script.
    Nginx,
    Haproxy,
    /// Its filters are Wasm.
    Envoy,
    /// Its filters are Lua.
    EnvoyLua,
    /// Its filters are those in C++ that come with it: header mutations.
    EnvoyNative,
    /// Its middlewares are Wasm.
    Traefik,
    Plugway,
    /// Without plugins, asked as the one with the plugins that come with it is.
    PlugwayWithToken,
    /// With the plugins that come with it: oauth2, hash-router, tls-forward, metrics.
    PlugwayShipped,
    /// With what watches it.
    PlugwayMonitored(Monitors),
}

/// Files that were built for this run.
#[derive(Debug)]
pub(super) struct Built {
    /// The gateway.
    pub(super) gateway: PathBuf,
    /// plugway's plugin.
    pub(super) guest: PathBuf,
    /// Wasm filters of other proxies, those that are measured.
    pub(super) filters: Vec<(Proxy, PathBuf)>,
}

/// One running proxy.
pub(super) struct Subject {
    entry: Entry,
    address: SocketAddr,
    /// What requests to it have beside the others' headers: `NAME: VALUE`.
    header: Option<String>,
    program: Program,
    watching: Watching,
}

enum Program {
    Peer(Running),
    Plugway(Box<Gateway>),
}

impl Proxy {
    fn recipe(self) -> Option<&'static Recipe> {
        match self {
            Self::Nginx => Some(&recipe::NGINX_PROXY),
            Self::Haproxy => Some(&recipe::HAPROXY_PROXY),
            Self::Envoy | Self::EnvoyLua | Self::EnvoyNative => Some(&recipe::ENVOY_PROXY),
            Self::Traefik => Some(&recipe::TRAEFIK_PROXY),
            Self::Plugway | Self::PlugwayWithToken | Self::PlugwayShipped | Self::PlugwayMonitored(_) => None,
        }
    }

    /// Whether it is this project's.
    pub(super) fn is_own(self) -> bool {
        self.recipe().is_none()
    }

    /// Whether requests to it carry a token.
    pub(super) fn has_token(self) -> bool {
        matches!(self, Self::PlugwayWithToken | Self::PlugwayShipped)
    }

    /// What it says of its version, the first line that has a number.
    pub(super) fn version(self, gateway: &Path) -> Result<String> {
        let (program, words) = match self.recipe() {
            Some(recipe) => ((recipe.program)()?, recipe.version),
            None => (gateway.to_owned(), ["--version"].as_slice()),
        };
        let output = std::process::Command::new(&program).args(words).output().context(program.display())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let line = text.lines().find(|line| line.bytes().any(|byte| byte.is_ascii_digit()));
        // Some say where they are, which is nobody's business.
        let folder = program.parent().map(|folder| format!("{}/", folder.display())).unwrap_or_default();
        Ok(line.unwrap_or_default().trim().replace(&folder, ""))
    }
}

impl Entry {
    /// Hook calls on a request's way in.
    pub(super) fn hooks(&self) -> usize {
        // oauth2 authorizes and hash-router routes; metrics observes off the way, and what it counts is held against the gateway's own. Configured like this, oauth2's filter has nothing to do, and
        // tls-forward's plan is asked for once.
        if self.proxy == Proxy::PlugwayShipped { 2 } else { self.plugins }
    }

    /// Whether a plugin of it counts what the gateway counts.
    pub(super) fn observes(&self) -> bool {
        self.proxy == Proxy::PlugwayShipped
    }

    /// What each of its plugins writes. Envoy's own filter has no conditions: it reads the tenant by writing it again.
    pub(super) fn mark(&self) -> &'static str {
        if self.proxy == Proxy::EnvoyNative { TENANT } else { MARK }
    }
}

impl Subject {
    /// Starts a proxy on its core, with its workers.
    ///
    /// # Errors
    /// When it does not start, with what it printed.
    pub(super) fn start(entry: Entry, stage: &Stage, built: &Built) -> Result<Self> {
        Self::try_start(entry, stage, built).map_err(|error| Error::new(format!("{} does not start: {error}", entry.name)))
    }

    fn try_start(entry: Entry, stage: &Stage, built: &Built) -> Result<Self> {
        let extended = entry.plugins > 0;
        let filter = built.filters.iter().find(|(proxy, _)| extended && *proxy == entry.proxy);
        let filter = filter.map_or(Path::new(""), |(_, file)| file);
        let values = stage
            .values(&entry)?
            .flag("native", extended && entry.proxy == Proxy::EnvoyNative)
            .flag("lua", extended && matches!(entry.proxy, Proxy::Nginx | Proxy::EnvoyLua))
            .flag("shipped", entry.proxy == Proxy::PlugwayShipped)
            .flag("wasm", extended && matches!(entry.proxy, Proxy::Envoy | Proxy::Traefik))
            .word("filter", filter.display())
            .word("guest", built.guest.display());
        let watching = Watching::begin(entry.proxy)?;
        let values = watching.values(values);
        let core = stage.scenario().proxy_core();
        let program = match entry.proxy.recipe() {
            Some(recipe) => Program::Peer(launch::start(recipe, &core, |_| Ok(values.clone()))?),
            None => {
                let config = template::fill(include_str!("../../peers/plugway.toml"), &values).context("plugway.toml")?;
                Program::Plugway(Box::new(Launch::new(&built.gateway)?.wrapper(core).start(&config)?))
            }
        };
        let address = match &program {
            Program::Peer(running) => running.address(),
            Program::Plugway(gateway) => gateway.address("web")?,
        };
        let header = entry.proxy.has_token().then(|| format!("authorization: Bearer {}", stage.token()));
        let subject = Self { entry, address, header, program, watching };
        subject.rest()?;
        Ok(subject)
    }

    pub(super) fn entry(&self) -> Entry {
        self.entry
    }

    pub(super) fn name(&self) -> &'static str {
        self.entry.name
    }

    /// Plugins in its chain.
    pub(super) fn plugins(&self) -> usize {
        self.entry.plugins
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What requests to it have beside the others' headers, as load generators take it.
    pub(super) fn header(&self) -> impl Iterator<Item = &str> {
        self.header.as_deref().into_iter().flat_map(|header| ["-H", header])
    }

    /// The token that it wants.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.header.as_deref().and_then(|header| header.strip_prefix("authorization: "))
    }

    /// Where plugway's operators look; none for others.
    pub(super) fn admin(&self) -> Result<Option<SocketAddr>> {
        match &self.program {
            Program::Peer(_) => Ok(None),
            Program::Plugway(gateway) => gateway.admin().map(Some),
        }
    }

    /// The process whose tree is measured.
    pub(super) fn pid(&self) -> u32 {
        match &self.program {
            Program::Peer(running) => running.pid(),
            Program::Plugway(gateway) => gateway.pid(),
        }
    }

    /// What it printed so far.
    pub(super) fn output(&self) -> String {
        match &self.program {
            Program::Peer(running) => running.output(),
            Program::Plugway(gateway) => gateway.log().text(),
        }
    }

    /// Resident memory of the tree, bytes.
    pub(super) fn rss_bytes(&self) -> Result<u64> {
        let own = process::rss_bytes(self.pid())?;
        // A helper may have ended meanwhile, and has no memory then.
        let helpers = process::tree(self.pid())?.into_iter().filter(|pid| *pid != self.pid());
        Ok(own + helpers.filter_map(|pid| process::rss_bytes(pid).ok()).sum::<u64>())
    }

    /// Stops it in its tracks while others are measured: most proxies have timers.
    pub(super) fn rest(&self) -> Result<()> {
        signal_tree(self.pid(), Signal::STOP)
    }

    /// Lets it go on.
    pub(super) fn wake(&self) -> Result<()> {
        signal_tree(self.pid(), Signal::CONT)
    }

    /// Ends a gateway as its operator would, where dropping it kills it; a peer has nothing to write down and is dropped.
    ///
    /// # Errors
    /// When a gateway does not end in time, or not successfully.
    pub(super) fn stop(self) -> Result<()> {
        match self.program {
            Program::Peer(_) => Ok(()),
            Program::Plugway(gateway) => gateway.stop().map(drop),
        }
    }

    /// What watches it has seen every request.
    ///
    /// # Errors
    /// When it has not.
    pub(super) fn check_watched(&self) -> Result<()> {
        let Program::Plugway(gateway) = &self.program else { return Ok(()) };
        self.wake()?;
        self.watching.check(gateway).map_err(|error| Error::new(format!("{}: {error}", self.name())))?;
        self.rest()
    }
}
