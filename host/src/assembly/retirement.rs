//! Where instances end that nothing is served by any more. Giving back the memory of one takes the kernel tens of
//! microseconds, and a generation has many: that is no work for a thread that serves.

use std::io;
use std::sync::mpsc::{Sender, channel};

use crate::pipeline::Plugins;

/// Starts the thread. It ends when nobody can send to it any more.
pub(super) fn start() -> io::Result<Sender<Plugins>> {
    let (retired, received) = channel::<Plugins>();
    std::thread::Builder::new().name("plugway-retired".into()).spawn(move || received.into_iter().for_each(drop))?;
    Ok(retired)
}
