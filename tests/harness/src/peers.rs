//! Programs from Debian that the tests and the bench compare with. A missing one is an error that says how to get it,
//! never a reason to skip.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// A program and the package it comes in.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The program's name.
    pub program: &'static str,
    /// Debian's package.
    pub package: &'static str,
}

/// nginx 1.22 of Debian 12: compared with for CPU per request and for consistent hashing.
pub const NGINX: Peer = Peer { program: "nginx", package: "nginx-light" };
/// The load generator of the bench.
pub const WRK: Peer = Peer { program: "wrk", package: "wrk" };
/// The HTTP/2 load generator.
pub const H2LOAD: Peer = Peer { program: "h2load", package: "nghttp2-client" };
/// The client of the example's README, which a test runs as it stands there.
pub const CURL: Peer = Peer { program: "curl", package: "curl" };
/// Runs the authorization server of the tests ([`crate::oidc`]).
pub const NODE: Peer = Peer { program: "node", package: "nodejs" };
/// Installs it.
pub const NPM: Peer = Peer { program: "npm", package: "npm" };
/// Walks through logins ([`crate::browser`]).
pub const CHROMIUM: Peer = Peer { program: "chromium", package: "chromium" };
/// Measured by `cargo xtask bench peers` alone, which installs it.
pub const HAPROXY: Peer = Peer { program: "haproxy", package: "haproxy" };
/// Prometheus, which scrapes the gateway in tests.
pub const PROMETHEUS: Peer = Peer { program: "prometheus", package: "prometheus" };
/// Its tool, which checks metrics and rules.
pub const PROMTOOL: Peer = Peer { program: "promtool", package: "prometheus" };
/// Counts instructions ([`crate::instructions`]).
pub const VALGRIND: Peer = Peer { program: "valgrind", package: "valgrind" };
/// Everything that `cargo xtask setup` installs from Debian, Python aside.
pub const ALL: [Peer; 9] = [NGINX, WRK, H2LOAD, CURL, NODE, NPM, PROMTOOL, CHROMIUM, VALGRIND];

impl Peer {
    /// Where it is: `PATH`, then the system's folders, which are not in every user's `PATH`.
    ///
    /// # Errors
    /// When it is not installed, with the commands that install it.
    pub fn find(&self) -> Result<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from));
        folders.map(|folder| folder.join(self.program)).find(|file| file.is_file()).ok_or_else(|| {
            let Self { program, package } = self;
            Error::new(format!(
                "{program} is not installed; it comes with Debian's package {package}: run `cargo xtask setup`, \
                 or `apt-get install {package}`"
            ))
        })
    }
}
