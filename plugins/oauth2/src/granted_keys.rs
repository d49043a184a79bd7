//! Names of keys and secrets, as a configuration writes them. What is no name of one that was granted may be the secret itself, written in the wrong
//! place: it is never said again.

use plugway_sdk::secrets::{self, Secret};
use plugway_sdk::{KeyError, SecretError, granted, keys};

/// The text of a secret that `key` of the configuration names.
pub(crate) fn secret(key: &str, name: &str) -> Result<Secret, String> {
    if !granted::secrets() {
        return Err(missing(key, "secrets"));
    }
    let secret = secrets::get(name).map_err(|error| match error {
        SecretError::NotGranted => missing(key, "secrets"),
        error => format!("`{key}` = {name:?}: {error}"),
    })?;
    secret.text().map_err(|error| format!("`{key}` = {name:?}: {error}"))?;
    Ok(secret)
}

/// What a private key that `key` of the configuration names signs by first.
pub(crate) fn algorithm(key: &str, name: &str) -> Result<String, String> {
    usable(key)?;
    let algorithms = keys::algorithms(name).map_err(|error| described(key, name, error))?;
    algorithms.into_iter().next().ok_or_else(|| format!("`{key}` = {name:?}: it signs by no algorithm"))
}

/// Whether the one that `key` of the configuration names seals.
pub(crate) fn seals(key: &str, name: &str) -> Result<(), String> {
    usable(key)?;
    keys::seal(name, "", b"").map(drop).map_err(|error| described(key, name, error))
}

fn usable(key: &str) -> Result<(), String> {
    if granted::keys() { Ok(()) } else { Err(missing(key, "keys")) }
}

fn described(key: &str, name: &str, error: KeyError) -> String {
    match error {
        KeyError::NotGranted => missing(key, "keys"),
        error => format!("`{key}` = {name:?}: {error}"),
    }
}

fn missing(key: &str, grant: &str) -> String {
    format!(
        "`{key}` is the name of a `[secrets.NAME]`, and the plugin was granted none of that name: say where it is in `[secrets.NAME]`, and name it in the \
         plugin's grants, `{grant} = [\"NAME\"]`"
    )
}
