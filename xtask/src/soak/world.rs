//! What a soak is made of: two upstreams, a gateway with two workers, and a plugin that says in each answer which version of it
//! served.

use std::path::{Path, PathBuf};

use plugway_harness::Result;
use plugway_harness::error::Context;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;
use serde_json::Value;

/// Stands in the guest's file once; another version has another number there.
const MARK: &[u8] = b"version-000000";

/// Everything that runs. Dropping it ends it.
pub(super) struct World {
    pub(super) gateway: Gateway,
    /// Kept for as long as they are to answer.
    _upstreams: [Upstream; 2],
    config: String,
    guest: Vec<u8>,
    place: usize,
}

impl World {
    /// Version 0 serves.
    pub(super) fn start(binary: &Path, guest: &Path) -> Result<Self> {
        let guest = std::fs::read(guest).context(guest.display())?;
        let place = guest.windows(MARK.len()).position(|window| window == MARK).context("the guest does not say its version")?;
        let upstreams = [Upstream::plain("one")?, Upstream::plain("two")?];
        let launch = Launch::new(binary)?;
        std::fs::create_dir(launch.directory().join("plugins.d")).context("plugins.d")?;
        launch.file("plugins.d/auth.wasm", &guest)?;
        let config = configuration(&upstreams);
        let gateway = launch.start(&config)?;
        Ok(Self { gateway, _upstreams: upstreams, config, guest, place })
    }

    pub(super) fn plugin_file(&self) -> PathBuf {
        self.gateway.directory().join("plugins.d").join("auth.wasm")
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.gateway.directory().join("plugway.toml")
    }

    /// The guest as that version of itself.
    pub(super) fn version(&self, number: u32) -> Vec<u8> {
        let mut bytes = self.guest.clone();
        let mark = format!("version-{number:06}");
        if let Some(place) = bytes.get_mut(self.place..self.place + mark.len()) {
            place.copy_from_slice(mark.as_bytes());
        }
        bytes
    }

    /// A configuration that means something else for each number.
    pub(super) fn reconfigured(&self, number: u32) -> String {
        format!("{}\n[limits]\nmax_headers = {}\n", self.config, 100 + number % 100)
    }

    /// What the admin listener answers.
    pub(super) fn admin(&self, method: &str, path: &str) -> Result<String> {
        crate::admin::ask(&self.gateway, method, path, super::changes::PATIENCE)
    }

    pub(super) fn status(&self) -> Result<Value> {
        crate::admin::status(&self.gateway, super::changes::PATIENCE)
    }
}

fn configuration(upstreams: &[Upstream; 2]) -> String {
    let endpoints = upstreams.iter().map(|upstream| format!("{:?}", upstream.url())).collect::<Vec<_>>().join(", ");
    // A cache of its own: what an earlier soak compiled would be found in another one.
    format!(
        r#"workers = 2
plugin_directory = "plugins.d"
cache_directory = "cache"

[listen.web]
address = "127.0.0.1:0"

[admin]
address = "127.0.0.1:0"

[access_log]
enabled = false

[plugins.auth]
source = "auth.wasm"
config = {{ mode = "version" }}

[upstreams.up]
endpoints = [{endpoints}]

[[routes]]
name = "all"
match = {{ path = "/*" }}
public = true
plugins = ["auth"]
upstream = "up"
"#
    )
}
