//! `plugway plugin`: what an operator does with plugin files. Each of them ends with 0 for yes, 1 for no, 2 when it cannot tell.

mod inspect;
mod list;
mod rollback;
mod signing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::complain;
use plugway::assembly::trusted_keys;
use plugway::config;
use plugway::plugin::{TrustedKeys, VerifyingKey};

/// What can be done with plugin files.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print what a plugin is and wants, without running or compiling it.
    ///
    /// Ends with 0 when this gateway could load it, 1 when it could not, and 2 when there is nothing to inspect. With --against: 0
    /// when hooks, capabilities and contract are the same, 1 when they differ.
    Inspect(inspect::Inspect),
    /// List the plugins of a running gateway: what serves, how it does, and which versions are kept.
    ///
    /// Ends with 0, or with 2 when no gateway could be asked.
    List(list::List),
    /// Have the version of a plugin that a running gateway tries serve everybody.
    ///
    /// Ends with 0 when it does, 1 when it cannot, and 2 when no gateway could be asked.
    Promote(rollback::Promote),
    /// Have a running gateway go back to a version of a plugin that served before; it stays until the plugin's file changes.
    ///
    /// Ends with 0 when that version serves, 1 when it cannot, and 2 when no gateway could be asked.
    Rollback(rollback::Rollback),
    /// Make a key pair: NAME.key to sign with, NAME.pub to be trusted. Nothing is overwritten.
    Keygen(signing::Keygen),
    /// Sign a plugin: adds a signature to FILE.sig.
    Sign(signing::Sign),
    /// Tell whether a plugin is signed by a trusted key: ends with 0 when it is, 1 when it is not.
    Verify(signing::Verify),
}

/// Whose signatures count.
#[derive(Debug, Args)]
struct Trusted {
    /// A public key to trust (PEM); may be given several times.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// A configuration whose `[trust]` counts.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The keys that were named, and whether the configuration requires a signature by one of them.
struct Trust {
    keys: TrustedKeys,
    require_signature: bool,
}

/// Runs one of them.
pub(super) fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Inspect(inspect) => inspect.run(),
        Command::List(list) => list.run(),
        Command::Promote(promote) => promote.run(),
        Command::Rollback(rollback) => rollback.run(),
        Command::Keygen(keygen) => keygen.run(),
        Command::Sign(sign) => sign.run(),
        Command::Verify(verify) => verify.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            complain(&message);
            ExitCode::from(2)
        }
    }
}

impl Trusted {
    /// `None` when nothing was named.
    fn read(&self) -> Result<Option<Trust>, String> {
        if self.keys.is_empty() && self.config.is_none() {
            return Ok(None);
        }
        let mut trust = Trust { keys: TrustedKeys::default(), require_signature: false };
        if let Some(file) = &self.config {
            let loaded = config::load(file).map_err(|rejected| rejected.to_string())?;
            trust.require_signature = loaded.config.trust.require_signature;
            trust.keys = trusted_keys(&loaded.config).map_err(|problems| problems.to_string())?;
        }
        for file in &self.keys {
            let key = VerifyingKey::from_pem(&read(file)?).map_err(|error| format!("{} {error}", file.display()))?;
            trust.keys.trust(&file.file_stem().unwrap_or_default().to_string_lossy(), key);
        }
        Ok(Some(trust))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))
}
