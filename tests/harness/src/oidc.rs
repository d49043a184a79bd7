//! npm's `oidc-provider`, certified by the OpenID Foundation, as the authorization server of the tests: real tokens, issued by
//! somebody else's code. Its script and its settings are `tests/oidc-provider/server.mjs`.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::ca::{Authority, Issued};
use crate::error::{Context, Error, Result};
use crate::gateway::Log;
use crate::guests::root;
use crate::peers::{NODE, NPM};
use crate::process;

/// Longest wait for what it has to say: a busy machine takes seconds to start Node.
const PATIENCE: Duration = Duration::from_secs(60);

/// Installs it where it is missing, or not what the lock file says, and gives its module. Tests of other processes wait meanwhile.
///
/// # Errors
/// When Node or npm is missing, or `npm ci` fails, with what it printed.
pub fn install() -> Result<PathBuf> {
    let (source, target) = (root().join("tests/oidc-provider"), root().join("target/peers/oidc-provider"));
    fs::create_dir_all(&target).context(target.display())?;
    let lock = File::create(target.join(".installing")).context(target.display())?;
    lock.lock().context(target.display())?;
    let wanted = fs::read(source.join("package-lock.json")).context(source.display())?;
    // Written last, so that what was broken off is done again.
    let installed = target.join("installed-lock.json");
    if fs::read(&installed).ok().as_ref() != Some(&wanted) {
        for name in ["package.json", "package-lock.json"] {
            fs::copy(source.join(name), target.join(name)).context(name)?;
        }
        let mut npm = Command::new(NPM.find()?);
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&target).stdin(Stdio::null());
        let output = npm.output().context("npm")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!(
                "oidc-provider, which the tests of oauth2 talk to, could not be installed; run `cargo xtask setup` where the network is \
                 reachable: npm ci ended with {}:\n{said}",
                output.status
            )));
        }
        fs::write(&installed, wanted).context(installed.display())?;
    }
    let module = target.join("node_modules/oidc-provider/lib/index.js");
    if module.is_file() { Ok(module) } else { Err(Error::new(format!("npm ci installed no {}", module.display()))) }
}

/// A running provider; it ends with its owner.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    orders: Mutex<Orders>,
    log: Arc<Log>,
    issuer: String,
    address: SocketAddr,
}

/// Where orders go, and how many did.
#[derive(Debug)]
struct Orders {
    input: ChildStdin,
    given: u64,
}

impl Provider {
    /// Starts one on a free port of 127.0.0.1, over plain HTTP. `settings` may have `clients` (RFC 7591) and `ttl`, the life of
    /// tokens in seconds.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start(settings: &Value) -> Result<Self> {
        Self::launch(settings, &[])
    }

    /// Likewise over TLS; certificates of clients are asked for and taken from this authority.
    ///
    /// # Errors
    /// As [`Provider::start`].
    pub fn over_tls(settings: &Value, identity: &Issued, clients: &Authority) -> Result<Self> {
        let (certificate, key) = identity.pems();
        Self::launch(settings, &[("OIDC_CERTIFICATE", certificate), ("OIDC_KEY", key), ("OIDC_CLIENT_CA", clients.pem())])
    }

    fn launch(settings: &Value, environment: &[(&str, &str)]) -> Result<Self> {
        let module = install()?;
        let script = root().join("tests/oidc-provider/server.mjs");
        let mut node = Command::new(NODE.find()?);
        node.arg(script).env("OIDC_PROVIDER", module).env("OIDC_SETTINGS", settings.to_string()).env("NO_COLOR", "1");
        node.envs(environment.iter().copied()).current_dir(root());
        let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("node")?;
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take());
        log.follow(child.stderr.take());
        let orders = Mutex::new(Orders { input: child.stdin.take().context("standard input")?, given: 0 });
        let mut provider = Self { child, orders, log, issuer: String::new(), address: ([127, 0, 0, 1], 0).into() };
        let started = provider.log.wait(PATIENCE, |line| line.field("listening").is_some());
        let Some(line) = started else {
            let text = provider.log.text();
            return Err(Error::new(format!("oidc-provider does not listen:\n{text}")));
        };
        provider.issuer = line.field("listening").unwrap_or_default().to_owned();
        let port = provider.issuer.rsplit(':').next().and_then(|port| port.parse().ok()).context("the provider's port")?;
        provider.address.set_port(port);
        Ok(provider)
    }

    /// The `iss` of its tokens, and where it is.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Signs with a new key from now on, and publishes the old one beside it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn rotate(&self) -> Result<()> {
        self.order(json!({ "command": "rotate" }))
    }

    /// From now on requests whose path begins with this are answered `well`, with `rubbish`, with 500 (`broken`), or late (`delayed`, by so long).
    ///
    /// # Errors
    /// When it has ended.
    pub fn behave(&self, path: &str, how: &str, delay: Duration) -> Result<()> {
        self.order(json!({ "command": "behave", "path": path, "as": how, "ms": u64::try_from(delay.as_millis()).unwrap_or(u64::MAX) }))
    }

    fn order(&self, mut order: Value) -> Result<()> {
        let number = {
            let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
            orders.given += 1;
            let number = json!(orders.given);
            if let Some(members) = order.as_object_mut() {
                members.insert("number".to_owned(), number.clone());
            }
            writeln!(orders.input, "{order}").context("oidc-provider")?;
            number
        };
        let done = self.log.wait(PATIENCE, |line| line.field("done").is_some() && line.value("number") == Some(&number));
        done.map(drop).context("oidc-provider does not answer an order")
    }

    /// Lines with this field. What it has said until now is read before: it says things in order.
    fn count(&self, field: &str, text: &str) -> usize {
        drop(self.order(json!({ "command": "settle" })));
        self.log.lines().iter().filter(|line| line.field(field) == Some(text)).count()
    }

    /// How often it has answered requests like `GET /jwks`.
    pub fn answered(&self, request: &str) -> usize {
        self.count("request", request)
    }

    /// How often one has reached it, answered or not.
    pub fn received(&self, request: &str) -> usize {
        self.count("received", request)
    }

    /// How often an event of the provider's own has happened, such as `client_credentials.issued`.
    pub fn events(&self, event: &str) -> usize {
        self.count("event", event)
    }

    /// Everything it said, for messages of tests.
    pub fn said(&self) -> String {
        self.log.text()
    }

    /// Kills it, as a machine that goes down would.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        process::end(&mut self.child, Duration::from_secs(5));
    }
}
