//! Values that many sections have: names, paths, durations, sizes, addresses.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;
use http::header::EXPECT;

use super::Compiler;
use crate::config::document::At;
use crate::config::model::CertificateFiles;
use crate::config::name::{LONGEST as LONGEST_NAME, is_name};
use crate::config::schema::{self, Size, Span};
use crate::config::units;
use crate::http::connection_headers::is_connection_header;

impl Compiler<'_> {
    /// Checks a name an operator chose.
    pub(super) fn name(&mut self, at: &At, what: &str, name: &str) {
        if is_name(name) {
            return;
        }
        let mut better: String =
            name.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        better.truncate(LONGEST_NAME);
        let better = better.trim_matches(['-', '_']);
        let rule = format!("names have 1 to {LONGEST_NAME} of `a` to `z`, `0` to `9`, `-` and `_`, and begin with a letter or digit");
        let help = if better.is_empty() { rule } else { format!("{rule}, such as `{better}`") };
        let shown: String = name.chars().take(LONGEST_NAME + 1).collect();
        self.error(at, format!("{shown:?} cannot be the name of {what}"), help);
    }

    /// A path relative to the file's folder.
    pub(super) fn path(&mut self, at: &At, path: &str) -> PathBuf {
        if path.is_empty() || path.contains('\0') {
            self.error(at, format!("{path:?} is no path"), "name a file or folder; a relative path starts at the folder of this file");
        }
        self.folder.join(path)
    }

    pub(super) fn certificate_files(&mut self, at: &At, raw: &schema::CertificateFiles) -> CertificateFiles {
        CertificateFiles { certificate: self.path(&at.key("certificate"), &raw.certificate), key: self.path(&at.key("key"), &raw.key) }
    }

    /// An address to listen on.
    pub(super) fn address(&mut self, at: &At, text: &str) -> Option<SocketAddr> {
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let port_is_good = port.parse::<u16>().is_ok();
        let help = match (host, port_is_good) {
            _ if text.parse::<std::net::Ipv6Addr>().is_ok() => {
                format!("write an IPv6 address in brackets and with its port: `[{text}]:8443`")
            }
            ("" | "*", true) => format!("for every interface write `0.0.0.0:{port}`, or `[::]:{port}` with IPv6"),
            ("localhost", true) => format!("names are not looked up: write `127.0.0.1:{port}`"),
            (_, true) => format!("names are not looked up: write an IP address, such as `0.0.0.0:{port}`"),
            _ if text.parse::<std::net::Ipv4Addr>().is_ok() => format!("write the port too: `{text}:8443`"),
            _ if text.parse::<u16>().is_ok() => format!("write the address too: `0.0.0.0:{text}`"),
            _ => "write an IP address and a port of 0 to 65535, such as `0.0.0.0:8443` or `[::1]:8443`".to_owned(),
        };
        self.error(at, format!("{text:?} is no address to listen on"), help);
        None
    }

    /// A duration, or its default.
    pub(super) fn span(&mut self, at: &At, span: Option<Span>, default: Duration) -> Duration {
        let Some(Span(text)) = span else { return default };
        units::duration(&text).unwrap_or_else(|message| {
            self.error(at, message, "write whole numbers with `ms`, `s`, `m`, `h` or `d`, such as \"250ms\", \"5s\" or \"1m30s\"");
            default
        })
    }

    /// A size in bytes, or its default.
    pub(super) fn size(&mut self, at: &At, size: Option<Size>, default: usize, allowed: RangeInclusive<usize>) -> usize {
        let Some(size) = size else { return default };
        let Some(bytes) = self.bytes(at, size) else { return default };
        match usize::try_from(bytes).ok().filter(|bytes| allowed.contains(bytes)) {
            Some(bytes) => bytes,
            None => {
                let message = format!("{bytes} bytes are too {}", if bytes < *allowed.start() as u64 { "few" } else { "many" });
                self.error(at, message, format!("write {} to {}", short(*allowed.start()), short(*allowed.end())));
                default
            }
        }
    }

    /// A size in bytes that may be `"unlimited"`, which is `None` inside. Without any, `None`.
    pub(super) fn size_or_unlimited(&mut self, at: &At, size: Option<Size>) -> Option<Option<u64>> {
        match size? {
            Size::Text(text) if text == "unlimited" => Some(None),
            size => self.bytes(at, size).map(Some),
        }
    }

    fn bytes(&mut self, at: &At, size: Size) -> Option<u64> {
        let bytes = match size {
            Size::Bytes(bytes) => units::size(&bytes.to_string()),
            Size::Text(text) => units::size(&text),
        };
        bytes
            .map_err(|message| self.error(at, message, "write a whole number of bytes, or one with a unit, such as \"64KiB\" or \"1MiB\""))
            .ok()
    }

    /// `plugway` in the user's cache folder (XDG Base Directory Specification). A process without one, such as a service, keeps
    /// it beside its configuration; never in a folder everybody may write to, since what lies there is run.
    pub(super) fn user_cache(&self) -> PathBuf {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        cache.map_or_else(|| self.folder.join(".plugway-cache"), |cache| cache.join("plugway"))
    }

    /// `plugway` in the user's state folder, and in it a folder of this configuration file's own: two gateways of one user must not
    /// take each other's plugins of the same name for their own.
    pub(super) fn user_state(&self) -> PathBuf {
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
        let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
        let file = self.folder.join(self.file.file_name().unwrap_or_default());
        let own = ring::digest::digest(&ring::digest::SHA256, file.as_os_str().as_encoded_bytes());
        let own: String = own.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        state.map_or_else(|| self.folder.join(".plugway-state"), |state| state.join("plugway").join(own))
    }

    /// A server name as TLS sends it: a host name, or an address.
    pub(super) fn server_name(&mut self, at: &At, name: &str) {
        if !is_host_name(name) && name.parse::<std::net::IpAddr>().is_err() {
            self.error(
                at,
                format!("{name:?} is neither a host name nor an address"),
                "write the name alone, without scheme and port, such as `orders.internal`",
            );
        }
    }

    /// Reports a header that a request may come with and never has when it is looked for.
    pub(super) fn must_arrive(&mut self, at: &At, name: &HeaderName) {
        if is_connection_header(name) || *name == EXPECT {
            let message = format!("`{name}` is between a client and the gateway, and taken off before anything looks for it");
            self.error(at, message, "name another header, or leave it out");
        } else if name.as_str().contains('_') && !self.keep_underscores {
            let help = "write `header_underscores = \"keep\"` at the top of the file, or `-` in the name where clients do";
            self.error(at, format!("`{name}` has a `_`, and clients' headers with one are dropped"), help);
        }
    }

    /// The file a path of a plugin's table names.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.folder.join(Path::new(path))
    }
}

/// Bytes in the largest unit that divides them.
fn short(bytes: usize) -> String {
    match [(30, "GiB"), (20, "MiB"), (10, "KiB")].into_iter().find(|(shift, _)| bytes >> shift << shift == bytes && bytes >> shift > 0) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// Labels of letters, digits, `-` and `_` between dots (RFC 1123, section 2.1; `_` is in use all the same).
pub(super) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let ends = !label.starts_with('-') && !label.ends_with('-');
        ends && (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}
