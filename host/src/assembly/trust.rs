//! Who vouches for plugin files: the keys of `[trust]`, and what is said where none of them signed.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::config::model::{Config, Plugin, Source, TrustedKey};
use crate::config::{Problem, Problems, read_bounded};
use crate::plugin::{TrustedKeys, Untrusted, VerifyingKey};

/// Largest file of a public key, bytes.
const LARGEST_KEY: u64 = 64 << 10;
/// Of a folder's permissions (inode(7)).
const WRITABLE_BY_ANYBODY: u32 = 0o002;

/// The keys of a configuration; `None` where one of them is wrong, which is a problem already.
pub(super) fn keys(config: &Config, problems: &mut Problems) -> Option<TrustedKeys> {
    let mut keys = TrustedKeys::default();
    let mut complete = true;
    for trusted in &config.trust.keys {
        match read(trusted) {
            Ok(key) => keys.trust(&trusted.name, key),
            Err(message) => {
                complete = false;
                let help = "name the public key's PEM file, such as the `.pub` that `plugway plugin keygen` wrote";
                problems.push(config.problem(format!("trust.keys.{}", trusted.name), message).with_suggestion(help));
            }
        }
    }
    complete.then_some(keys)
}

/// The keys of a configuration's `[trust]`.
///
/// # Errors
/// Every key that cannot be used.
pub fn trusted_keys(config: &Config) -> Result<TrustedKeys, Problems> {
    let mut problems = Problems::new(&config.file);
    keys(config, &mut problems).ok_or(problems)
}

fn read(trusted: &TrustedKey) -> Result<VerifyingKey, String> {
    let file = trusted.file.display();
    let pem = read_bounded(&trusted.file, LARGEST_KEY).map_err(|error| format!("{file} cannot be read: {error}"))?;
    VerifyingKey::from_pem(&pem).map_err(|error| format!("{file} {error}"))
}

/// A warning where everybody on the machine decides what runs: the plugin folder is theirs to write, and some plugin's file there needs
/// no signature.
pub(super) fn open_folder(config: &Config) -> Option<Problem> {
    let folder = &config.plugin_directory;
    let anybody = config.plugins.iter().find(|plugin| {
        !plugin.require_signature && matches!(&plugin.source, Source::File(file) if file.parent().is_some_and(|parent| parent == folder))
    })?;
    let mode = std::fs::metadata(folder).ok()?.permissions().mode();
    if mode & WRITABLE_BY_ANYBODY == 0 {
        return None;
    }
    let (name, folder) = (&anybody.name, folder.display());
    let message = format!("everybody on this machine can write to {folder}, and so decides what runs as plugin `{name}`");
    let help = "take that right away (`chmod o-w`), or set `require_signature` in [trust]";
    Some(config.problem("plugin_directory".to_owned(), message).with_suggestion(help))
}

/// Signatures that were verified in this process: by the digest of what was signed, the keys that did.
///
/// A version that serves may stay when its file is gone, or when another one came that is not taken. Its signature file is
/// then gone too, or for other bytes; whether the key that signed it is still trusted is asked all the same.
#[derive(Debug, Default)]
pub(super) struct Vouched(HashMap<String, Vec<VerifyingKey>>);

impl Vouched {
    /// Who vouches for a plugin's file, read as the bytes of that digest, or for the kept version they are from; `None` for what
    /// needs nobody.
    ///
    /// # Errors
    /// When somebody must and nobody does. Where nobody must, a signature that does not fit is a warning.
    pub(super) fn signer(
        &mut self,
        config: &Config,
        keys: &TrustedKeys,
        plugin: &Plugin,
        (digest, kept): (&str, Option<&Path>),
        warnings: &mut Vec<Problem>,
    ) -> Result<Option<Arc<str>>, Box<Problem>> {
        let Source::File(path) = &plugin.source else { return Ok(None) };
        let path = kept.unwrap_or(path);
        let problem = |path: &Path, why: &Untrusted| {
            let key = format!("plugins.{}.source", plugin.name);
            let what = if plugin.require_signature { "was not loaded" } else { "needs no signature, and has one that does not count" };
            let message = format!("plugin `{}` ({}) {what}: {why}", plugin.name, path.display());
            let mut remedy = why.remedy().to_string();
            if let Some(folder) = kept.and_then(Path::parent) {
                let folder = folder.display();
                remedy.push_str(&format!("; to have the plugin's own file serve and not a version that is kept, delete {folder}"));
            }
            config.problem(key, message).of_plugin(&plugin.name, why.as_str()).with_suggestion(remedy)
        };
        match keys.signer(path, digest) {
            Ok((name, key)) => {
                let known = self.0.entry(digest.to_owned()).or_default();
                if !known.contains(&key) {
                    known.push(key);
                }
                Ok(Some(name))
            }
            Err(why) => match self.0.get(digest).and_then(|known| known.iter().find_map(|key| keys.name(*key).cloned())) {
                Some(name) => Ok(Some(name)),
                None if plugin.require_signature => Err(Box::new(problem(path, &why))),
                None => {
                    if !matches!(why, Untrusted::Unsigned { .. } | Untrusted::Unknown { .. }) {
                        warnings.push(problem(path, &why));
                    }
                    Ok(None)
                }
            },
        }
    }
}
