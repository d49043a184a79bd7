//! The proxies that are measured.

use std::net::SocketAddr;
use std::path::Path;

use plugway_harness::Result;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::nginx::Nginx;
use plugway_harness::process;
use rustix::process::Signal;

/// Where proxies run.
pub(super) const PROXY_CORE: [&str; 3] = ["taskset", "-c", "0"];
/// Where wrk and the backend run.
pub(super) const LOAD_CORE: [&str; 3] = ["taskset", "-c", "1"];

/// One running proxy.
pub(super) struct Subject {
    name: &'static str,
    plugins: usize,
    address: SocketAddr,
    program: Program,
}

enum Program {
    Nginx(Nginx),
    Plugway(Box<Gateway>),
}

impl Subject {
    /// Debian's nginx with one worker, as many kept upstream connections as it can need, and the forwarding headers that plugway
    /// sets by default, so that both do the same work.
    pub(super) fn nginx(backend: SocketAddr) -> Result<Self> {
        let nginx = Nginx::start(&PROXY_CORE, |port| {
            format!(
                "    keepalive_requests 1000000000;
    upstream backend {{ server {backend}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}"
            )
        })?;
        Ok(Self { name: "nginx", plugins: 0, address: nginx.address(), program: Program::Nginx(nginx) })
    }

    /// plugway as a user gets it, with one worker and `plugins` plugins in the chain, each from the same file.
    pub(super) fn plugway(name: &'static str, binary: &Path, guest: &Path, plugins: usize, backend: SocketAddr) -> Result<Self> {
        let launch = Launch::new(binary)?.wrapper(PROXY_CORE);
        let gateway = launch.start(&configuration(guest, plugins, backend))?;
        let subject = Self { name, plugins, address: gateway.address("web")?, program: Program::Plugway(Box::new(gateway)) };
        subject.rest()?;
        Ok(subject)
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Plugins in its chain.
    pub(super) fn plugins(&self) -> usize {
        self.plugins
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process whose tree is measured.
    pub(super) fn pid(&self) -> u32 {
        match &self.program {
            Program::Nginx(nginx) => nginx.pid(),
            Program::Plugway(gateway) => gateway.pid(),
        }
    }

    /// Resident memory of the tree, bytes.
    pub(super) fn rss_bytes(&self) -> Result<u64> {
        process::tree(self.pid())?.into_iter().map(process::rss_bytes).sum()
    }

    /// Stops it in its tracks while others are measured: a gateway with plugins ticks.
    pub(super) fn rest(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub(super) fn wake(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        match &self.program {
            // An idle nginx does nothing at all.
            Program::Nginx(_) => Ok(()),
            Program::Plugway(gateway) => gateway.signal(signal),
        }
    }
}

fn configuration(guest: &Path, plugins: usize, backend: SocketAddr) -> String {
    let guest = guest.display().to_string();
    let tables: String = (1..=plugins)
        .map(|number| format!("[plugins.tag-{number}]\nsource = {guest:?}\nconfig = {{ header = \"x-plugin-{number}\" }}\n\n"))
        .collect();
    let chain = (1..=plugins).map(|number| format!("\"tag-{number}\"")).collect::<Vec<_>>().join(", ");
    format!(
        r#"workers = 1

[listen.web]
address = "127.0.0.1:0"

[admin]
address = "127.0.0.1:0"

[log]
access = false

{tables}[upstreams.backend]
endpoints = ["http://{backend}"]

[[routes]]
name = "bench"
public = true
plugins = [{chain}]
upstream = "backend"
"#
    )
}
