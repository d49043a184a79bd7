//! Ending early. Proxies that are not being measured are stopped in their tracks, and a stopped process does not see Ctrl-C: if
//! this one simply died, they would stay. So Ctrl-C and SIGTERM are noted, and bench and soak end themselves at their next step.

use std::sync::atomic::{AtomicBool, Ordering};

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From here on signals are noted.
///
/// # Errors
/// When the system refuses.
pub(crate) fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt()).context("SIGINT")?, signal(SignalKind::terminate()).context("SIGTERM")?)
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        ASKED.store(true, Ordering::SeqCst);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop).context("thread")
}

/// Whether to go on.
///
/// # Errors
/// When a signal came.
pub(crate) fn check() -> Result<()> {
    if ASKED.load(Ordering::SeqCst) { Err(Error::new("interrupted")) } else { Ok(()) }
}
