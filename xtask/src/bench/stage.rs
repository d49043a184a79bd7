//! What a scenario needs beside a proxy: a backend, certificates, the load generator's files.

use std::net::SocketAddr;
use std::path::PathBuf;

use plugway_harness::Result;
use plugway_harness::ca::{Authority, PemFiles};
use plugway_harness::error::Context;
use plugway_harness::nginx::free_address;
use plugway_harness::temp::TempDir;

use super::scenario::{SMALL_BODY, Scenario};
use super::subject::{LOAD_CORE, launch, recipe};
use super::template::{self, Values};
use crate::token::{AUDIENCE, ISSUER, Provider, SCOPE};

/// Numbers of plugins that a chain can have: the backend has a server for each, which demands that many marks.
const CHAINS: [usize; 4] = [0, 1, 5, 10];
/// What the backend's certificate says.
const SERVER_NAME: &str = "backend.internal";

/// Everything around the proxies of one scenario.
pub(super) struct Stage {
    scenario: Scenario,
    directory: TempDir,
    authority: Authority,
    /// Shown by proxies and by the backend.
    certificate: PemFiles,
    /// The same in one file, as HAProxy wants it.
    pair: PathBuf,
    ca: PathBuf,
    token: String,
    servers: Vec<(usize, SocketAddr)>,
    backend: Option<launch::Running>,
}

impl Stage {
    /// Makes the certificates and starts the backend.
    pub(super) fn start(scenario: Scenario) -> Result<Self> {
        let directory = TempDir::new()?;
        let authority = Authority::new("plugway bench CA")?;
        let certificate = authority.server(&[SERVER_NAME, "localhost", "127.0.0.1"])?.write(directory.path(), "server")?;
        let read = |file: &PathBuf| std::fs::read_to_string(file).context(file.display());
        let pair = directory.write("pair.pem", read(&certificate.certificate)? + &read(&certificate.key)?)?;
        let ca = authority.write(directory.path(), "ca")?;
        directory.write("body", "x".repeat(scenario.body))?;
        let provider = Provider::new()?;
        directory.write("jwks.json", provider.jwks()?)?;
        let token = provider.token("bench", SCOPE)?;
        let mut stage = Self { scenario, directory, authority, certificate, pair, ca, token, servers: Vec::new(), backend: None };
        let backend = launch::start(&recipe::BACKEND, &LOAD_CORE, |port| {
            let first = SocketAddr::from(([127, 0, 0, 1], port));
            let others = CHAINS.iter().skip(1).map(|_| free_address()).collect::<Result<Vec<_>>>()?;
            stage.servers = CHAINS.into_iter().zip([first].into_iter().chain(others)).collect();
            Ok(stage.backend_values())
        })?;
        stage.backend = Some(backend);
        Ok(stage)
    }

    pub(super) fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Who signed every certificate here.
    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What plugway's shipped chain lets through.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Writes the script for wrk: at full speed, or so many requests a second.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn script(&self, per_second: Option<f64>) -> Result<PathBuf> {
        let Scenario { body, close, .. } = self.scenario;
        let values = Values::default()
            .word("method", if body == 0 { "GET" } else { "POST" })
            .word("length", body)
            .word("interval", per_second.map_or(0.0, |rate| 1_000.0 / rate))
            .flag("close", close)
            .flag("body", body > 0)
            .flag("paced", per_second.is_some());
        self.directory.write("wrk.lua", template::fill(include_str!("../../peers/wrk.lua"), &values)?)
    }

    /// What a proxy's configuration is filled with; its plugins are numbered from 1.
    ///
    /// # Errors
    /// When the backend has no server that expects that many.
    pub(super) fn values(&self, plugins: usize) -> Result<Values> {
        let server = self.servers.iter().find(|(marks, _)| *marks == plugins);
        let (_, backend) = server.context(format!("the backend does not expect {plugins} plugins"))?;
        let numbers = (1..=plugins).map(|number| Values::default().word("number", number));
        let chain = (1..=plugins).map(|number| format!("\"tag-{number}\"")).collect::<Vec<_>>().join(", ");
        let values = self.common().word("backend", backend).word("backend_port", backend.port());
        Ok(values.word("chain", chain).list("plugin", numbers))
    }

    fn common(&self) -> Values {
        let Scenario { tls_in, tls_out, http2, body, .. } = self.scenario;
        Values::default()
            .word("certificate", self.certificate.certificate.display())
            .word("key", self.certificate.key.display())
            .word("pair", self.pair.display())
            .word("ca", self.ca.display())
            .word("server_name", SERVER_NAME)
            .word("issuer", ISSUER)
            .word("audience", AUDIENCE)
            .word("jwks", self.directory.path().join("jwks.json").display())
            .flag("tls_in", tls_in)
            .flag("tls_out", tls_out)
            .flag("http2", http2)
            .flag("body", body > 0)
    }

    fn backend_values(&self) -> Values {
        let header = |name: &str| format!("{name}: $http_{}\\n", name.replace('-', "_"));
        let marks = (1..=CHAINS.into_iter().max().unwrap_or_default()).map(|number| format!("x-plugin-{number}"));
        let names = marks.chain(["x-tenant-id", "x-forwarded-for", "x-forwarded-proto"].map(str::to_owned));
        let echo: String = names.map(|name| header(&name)).collect();
        let servers = self.servers.iter().map(|(plugins, address)| {
            let seen: String = (1..=*plugins).map(|number| format!("$http_x_plugin_{number}")).collect();
            Values::default().word("port", address.port()).word("seen", seen).word("wanted", "on".repeat(*plugins))
        });
        let values = self.common().word("echo", echo).word("body", "0123456789abcdef".repeat(SMALL_BODY / 16));
        values.word("files", self.directory.path().display()).list("server", servers)
    }
}
