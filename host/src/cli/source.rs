//! Where a command reads what was monitored: of a running gateway, or from the store.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{admin, load};

/// As it is said on the command line.
#[derive(Debug, Args)]
pub(super) struct Monitored {
    /// The configuration file, which says where the store is.
    #[arg(long, default_value = "plugway.toml")]
    config: PathBuf,
    /// The store itself, wherever it came from.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    store: Option<PathBuf>,
    /// A running gateway's admin listener, which reads its store.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["config", "store"])]
    admin: Option<String>,
}

/// As it is read.
pub(super) enum Source {
    Gateway(SocketAddr),
    Store(PathBuf),
}

impl Monitored {
    pub(super) fn source(&self) -> Result<Source, String> {
        match (&self.admin, &self.store) {
            (Some(address), _) => admin::address(address).map(Source::Gateway),
            (None, Some(file)) => Ok(Source::Store(file.clone())),
            (None, None) => {
                let store = load(&self.config)?.config.store;
                // What was kept before it was switched off can be read all the same.
                if !store.enabled && !store.file.exists() {
                    return Err("nothing is stored: [store] enabled = false".to_owned());
                }
                Ok(Source::Store(store.file))
            }
        }
    }
}
