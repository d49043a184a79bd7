//! How many files the process may have open: each connection of a client is one, and so is each to an upstream.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows as many as the process may allow itself. Shells and services begin with 1,024 for the sake of programs that use select(2), which this one does
/// not; what the administrator set stays the limit (getrlimit(2)).
pub(super) fn allow(max_connections: usize) {
    if let Err(error) = raise() {
        tracing::warn!(%error, "The process' limit of open files stays lower than it may be");
    }
    let Some(files) = getrlimit(Resource::Nofile).current else { return };
    if files < 2 * max_connections as u64 {
        let advice = "beyond that clients wait or get 503; raise the limit (`ulimit -Hn`, systemd: `LimitNOFILE`) for more";
        tracing::info!(
            files,
            max_connections,
            "There are open files for fewer than `limits.max_connections` clients with a request each: {advice}"
        );
    }
}

fn raise() -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
