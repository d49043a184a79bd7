//! How each program is configured and called.

use std::path::{Path, PathBuf};

use plugway_harness::Result;
use plugway_harness::error::Context;
use plugway_harness::peers::{HAPROXY, NGINX};

use crate::bench::template::Values;
use crate::workspace;

/// A program that is started from committed templates in `xtask/peers`.
pub(in crate::bench) struct Recipe {
    pub(super) program: fn() -> Result<PathBuf>,
    /// Names in its folder, and templates.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Names in its folder, and words of the templates whose files are found there; one that is empty is none.
    pub(super) links: &'static [(&'static str, &'static str)],
    /// Its command line, given its folder and what its templates are filled with.
    pub(super) arguments: fn(&Path, &Values) -> Vec<String>,
    /// Prints its version.
    pub(super) version: &'static [&'static str],
}

/// nginx behind every proxy.
pub(in crate::bench) const BACKEND: Recipe =
    Recipe { files: &[("nginx.conf", include_str!("../../../peers/backend.conf"))], ..NGINX_PROXY };

pub(super) const NGINX_PROXY: Recipe = Recipe {
    program: || NGINX.find(),
    files: &[("nginx.conf", include_str!("../../../peers/nginx.conf"))],
    links: &[],
    arguments: |directory, _| {
        let file = |name: &str| directory.join(name).display().to_string();
        ["-p", &file(""), "-e", &file("error.log"), "-c", &file("nginx.conf")].map(str::to_owned).into()
    },
    version: &["-v"],
};

pub(super) const HAPROXY_PROXY: Recipe = Recipe {
    program: || HAPROXY.find(),
    files: &[
        ("haproxy.cfg", include_str!("../../../peers/haproxy.cfg")),
        ("routes.map", include_str!("../../../peers/haproxy-routes.map")),
    ],
    links: &[],
    // In the foreground, without a master.
    arguments: |directory, _| ["-db", "-f", &directory.join("haproxy.cfg").display().to_string()].map(str::to_owned).into(),
    version: &["-v"],
};

pub(super) const ENVOY_PROXY: Recipe = Recipe {
    program: || from_python("envoy"),
    files: &[("envoy.yaml", include_str!("../../../peers/envoy.yaml"))],
    links: &[],
    // Hot restart takes a shared name that a second Envoy on the machine would want too.
    arguments: |directory, values| {
        let file = directory.join("envoy.yaml").display().to_string();
        let workers = values.get("workers").unwrap_or("1");
        ["--config-path", &file, "--concurrency", workers, "--disable-hot-restart", "--log-level", "error"].map(str::to_owned).into()
    },
    version: &["--version"],
};

pub(super) const TRAEFIK_PROXY: Recipe = Recipe {
    program: || from_python("traefik"),
    files: &[
        ("traefik.yaml", include_str!("../../../peers/traefik.yaml")),
        ("routes.yaml", include_str!("../../../peers/traefik-routes.yaml")),
        ("plugins-local/src/tag/.traefik.yml", include_str!("../../../peers/traefik-plugin.yml")),
    ],
    links: &[("plugins-local/src/tag/plugin.wasm", "filter")],
    arguments: |directory, _| vec![format!("--configFile={}", directory.join("traefik.yaml").display())],
    version: &["version"],
};

/// Where the proxies that PyPI has are installed.
pub(in crate::bench) fn environment() -> PathBuf {
    workspace::root().join("target").join("peers").join("proxies")
}

fn from_python(program: &str) -> Result<PathBuf> {
    let file = environment().join("bin").join(program);
    file.is_file().then_some(()).context(format!("{} is not there; `cargo xtask bench peers` installs it", file.display()))?;
    Ok(file)
}
