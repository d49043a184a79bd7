//! What a scenario needs beside a proxy: a backend, certificates, the load generator's files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use plugway_harness::ca::{Authority, PemFiles};
use plugway_harness::client::Client;
use plugway_harness::error::Context;
use plugway_harness::nginx::free_address;
use plugway_harness::temp::TempDir;
use plugway_harness::{Result, process};

use super::scenario::{SMALL_BODY, Scenario};
use super::subject::{Entry, MARK, TENANT, launch, recipe};
use super::template::{self, Values};
use super::wait_for;
use crate::token::{AUDIENCE, ISSUER, Provider, SCOPE};

/// Chains that a proxy can have, as numbers of plugins and what each of them writes: the backend has a server for each, which
/// demands these marks.
const CHAINS: [(usize, &str); 6] = [(0, MARK), (1, MARK), (5, MARK), (10, MARK), (1, TENANT), (5, TENANT)];
/// Chains that are measured with many endpoints.
const SPREAD: [(usize, &str); 2] = [(0, MARK), (1, MARK)];
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
    servers: Vec<Server>,
    /// Where the backend says how many requests it has answered.
    status: SocketAddr,
    backend: Option<launch::Running>,
}

/// What of the backend stands behind one kind of chain.
struct Server {
    plugins: usize,
    mark: &'static str,
    address: SocketAddr,
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
        let status = free_address()?;
        let mut stage = Self { scenario, directory, authority, certificate, pair, ca, token, servers: Vec::new(), status, backend: None };
        let backend = launch::start(&recipe::BACKEND, &scenario.load_core(), |port| {
            let first = SocketAddr::from(([127, 0, 0, 1], port));
            let others = CHAINS.iter().skip(1).map(|_| free_address()).collect::<Result<Vec<_>>>()?;
            let addresses = [first].into_iter().chain(others);
            stage.servers = CHAINS.into_iter().zip(addresses).map(|((plugins, mark), address)| Server { plugins, mark, address }).collect();
            stage.status = free_address()?;
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

    /// The addresses that requests to a subject go to, one for each line, as h2load takes them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn addresses(&self, subject: SocketAddr) -> Result<PathBuf> {
        let scheme = self.scenario.scheme();
        let lines: String = self.scenario.paths().iter().map(|path| format!("{scheme}://{subject}{path}\n")).collect();
        self.directory.write("addresses", lines)
    }

    /// Requests that the backend has answered so far, this question left out.
    ///
    /// # Errors
    /// When it does not say.
    pub(super) fn answered(&self) -> Result<f64> {
        let text = wait_for(Client::http(self.status, "status").get("/"))?.text();
        // `Active connections: 1 \nserver accepts handled requests\n 16 16 31 \n…`
        let line = text.lines().nth(2).context(format!("the backend does not count: {text}"))?;
        let count = line.split_whitespace().nth(2).and_then(|count| count.parse::<f64>().ok());
        Ok(count.context(format!("the backend does not count: {text}"))? - 1.0)
    }

    /// CPU time of the backend.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn backend_time(&self) -> Result<Duration> {
        self.backend.as_ref().map_or(Ok(Duration::ZERO), |backend| process::cpu_time(backend.pid()))
    }

    /// What a proxy's configuration is filled with; its plugins are numbered from 1.
    ///
    /// # Errors
    /// When the backend has no server that expects its marks.
    pub(super) fn values(&self, entry: &Entry) -> Result<Values> {
        let Entry { plugins, workers, .. } = *entry;
        let server = self.servers.iter().find(|server| server.plugins == plugins && server.mark == entry.mark());
        let backend = server.context(format!("the backend does not expect {plugins} plugins"))?.address;
        let numbers = (1..=plugins).map(|number| Values::default().word("number", number));
        let values = self.common().word("backend", backend).word("backend_port", backend.port()).word("workers", workers);
        let addresses = self.endpoints(backend);
        let quoted: Vec<String> = addresses.iter().map(|address| format!("\"{}://{address}\"", self.backend_scheme())).collect();
        let endpoints = addresses.iter().enumerate().map(|(number, address)| {
            Values::default()
                .word("number", number)
                .word("address", address)
                .word("host", address.ip())
                .word("endpoint_port", address.port())
        });
        let routes = (0..self.scenario.routes).map(|number| self.route(number, plugins));
        let values = values.flag("two_workers", workers > 1).word("endpoints", quoted.join(", "));
        Ok(values.list("plugin", numbers).list("endpoint", endpoints).list("route", routes))
    }

    /// One route: how it is found, and its plugins with settings of their own where there are several.
    fn route(&self, number: usize, plugins: usize) -> Values {
        let place = |plugin: usize| {
            if self.scenario.by_route {
                format!("{{ plugin = \"tag-{plugin}\", config = {{ value = \"{MARK}\", route = {number} }} }}")
            } else {
                format!("\"tag-{plugin}\"")
            }
        };
        let chain = (1..=plugins).map(place).collect::<Vec<_>>().join(", ");
        let name = if self.scenario.by_route { format!("bench-{number}") } else { "bench".to_owned() };
        Values::default().word("name", name).word("path", self.scenario.route_path(number)).word("chain", chain)
    }

    /// Where a server of the backend is reached: every endpoint has an address of its own in 127.0.0.0/8.
    fn endpoints(&self, server: SocketAddr) -> Vec<SocketAddr> {
        if self.scenario.endpoints == 1 {
            return vec![server];
        }
        let address = |number: usize| [127, 1 + (number / 62_500) as u8, (number / 250 % 250) as u8, (number % 250) as u8 + 1];
        (0..self.scenario.endpoints).map(|number| SocketAddr::from((address(number), server.port()))).collect()
    }

    fn backend_scheme(&self) -> &'static str {
        if self.scenario.tls_out { "https" } else { "http" }
    }

    fn common(&self) -> Values {
        let Scenario { tls_in, tls_out, http2, body, by_route, endpoints, .. } = self.scenario;
        let descriptors = self.scenario.descriptors();
        Values::default()
            .word("certificate", self.certificate.certificate.display())
            .word("key", self.certificate.key.display())
            .word("pair", self.pair.display())
            .word("ca", self.ca.display())
            .word("server_name", SERVER_NAME)
            .word("issuer", ISSUER)
            .word("audience", AUDIENCE)
            .word("jwks", self.directory.path().join("jwks.json").display())
            .word("descriptors", descriptors)
            // HAProxy has two sockets for each connection, and wants as many again for its own.
            .word("most_connections", descriptors.min(30_000))
            .word("keepalive", endpoints.max(1_024))
            .flag("many", descriptors > 4_096)
            .flag("crowded", descriptors > 4_096 || self.scenario.settles())
            .flag("tls_in", tls_in)
            .flag("tls_out", tls_out)
            .flag("http2", http2)
            .flag("by_route", by_route)
            .flag("body", body > 0)
    }

    fn backend_values(&self) -> Values {
        let header = |name: &str| format!("{name}: $http_{}\\n", name.replace('-', "_"));
        let most = CHAINS.into_iter().map(|(plugins, _)| plugins).max();
        let marks = (1..=most.unwrap_or_default()).map(|number| format!("x-plugin-{number}"));
        let names = marks.chain(["x-tenant-id", "x-forwarded-for", "x-forwarded-proto"].map(str::to_owned));
        let echo: String = names.map(|name| header(&name)).collect();
        let servers = self.servers.iter().map(|server| {
            let Server { plugins, mark, address } = *server;
            let seen: String = (1..=plugins).map(|number| format!("$http_x_plugin_{number}")).collect();
            // All addresses of this machine at once: a socket for each of ten thousand is more than a process may have on many systems.
            let spread = self.scenario.endpoints > 1 && SPREAD.contains(&(plugins, mark));
            let address = if spread { SocketAddr::from(([0, 0, 0, 0], address.port())) } else { address };
            Values::default().word("seen", seen).word("wanted", mark.repeat(plugins)).word("address", address)
        });
        let values = self.common().word("echo", echo).word("echo_path", self.scenario.echo_path()).word("status", self.status);
        let values = values.word("body", "0123456789abcdef".repeat(SMALL_BODY / 16)).word("files", self.directory.path().display());
        values.list("server", servers)
    }
}
