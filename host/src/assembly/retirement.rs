//! Where instances end that nothing is served by any more: they are told that their configurations are left behind, and their memory is given back,
//! which takes the kernel tens of microseconds for one, and a generation has many. That is no work for a thread that serves.

use std::io;
use std::sync::mpsc::{Sender, channel};

use crate::pipeline::Plugins;

/// This thread's place among those that have instances: what these record is theirs alone.
const RETIREMENT: usize = usize::MAX - 1;

/// Starts the thread. It ends when nobody can send to it any more; a gateway that ends waits for no plugin to forget what ends with it.
pub(super) fn start() -> io::Result<Sender<Plugins>> {
    let (retired, received) = channel::<Plugins>();
    let end = move || received.into_iter().for_each(|plugins| plugins.retire(RETIREMENT));
    std::thread::Builder::new().name("plugway-retired".into()).spawn(end)?;
    Ok(retired)
}
