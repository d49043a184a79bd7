//! WASI 0.2 with an empty context: no files, no network, no environment, and nothing that waits.
//!
//! Components of every toolchain import WASI, if only to print a panic. wasmtime-wasi's synchronous functions wait by
//! entering tokio, which panics on a worker, so those that can wait are shadowed: writing goes to the plugin's log at
//! once, and waiting is a trap.

use bytes::Bytes;
use wasmtime::component::{Linker, Resource, ResourceTable, ResourceType};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_io::bindings::wasi::io::streams::StreamError as GuestStreamError;

use super::guest::Guest;
use crate::capability::log::{About, Level, PluginLog};

/// The version wasmtime-wasi links, which newer and older 0.2 components match.
const IO_STREAMS: &str = "wasi:io/streams@0.2.12";
const IO_POLL: &str = "wasi:io/poll@0.2.12";

/// Bytes that one call may print, as WASI's `check-write` says it: what is one more is a trap, so that no call has many thousand lines to look at.
const MOST_PRINTED: usize = 4096;
/// Random bytes that one call may ask for; one more is a trap.
const MOST_RANDOM: u64 = 64 << 10;

/// WASI state of one instance.
pub(super) struct Wasi {
    ctx: WasiCtx,
    /// Also holds the identities and public keys the guest owns.
    pub(super) table: ResourceTable,
}

/// What a guest prints, line by line, into its log.
#[derive(Debug, Clone)]
struct Printed {
    log: PluginLog,
    level: Level,
    line: Vec<u8>,
}

// === impl Wasi ===

impl Wasi {
    pub(super) fn new(log: &PluginLog) -> Self {
        let mut builder = WasiCtxBuilder::new();
        builder
            .stdout(Printed { log: log.clone(), level: Level::Info, line: Vec::new() })
            .stderr(Printed { log: log.clone(), level: Level::Warn, line: Vec::new() })
            .max_random_size(MOST_RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        // A guest that never gives back handles must not fill the host. One that keeps a thousand identities to give copies
        // away, as `oauth2` does, has room for as many keys.
        table.set_max_capacity(2048);
        Self { ctx: builder.build(), table }
    }
}

impl std::fmt::Debug for Wasi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wasi").finish_non_exhaustive()
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.ctx, table: &mut self.wasi.table }
    }
}

// === linking ===

/// Links WASI, with everything that could wait replaced.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    shadow_streams(linker)?;
    shadow_poll(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

type Written = Result<(), GuestStreamError>;

fn shadow_streams(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut streams = linker.instance(IO_STREAMS)?;
    streams.func_wrap(
        "[method]output-stream.blocking-write-and-flush",
        |mut store, (stream, bytes): (Resource<DynOutputStream>, Vec<u8>)| {
            let stream = store.data_mut().wasi.table.get_mut(&stream)?;
            written(stream.write(bytes.into()))
        },
    )?;
    streams.func_wrap("[method]output-stream.blocking-flush", |mut store, (stream,): (Resource<DynOutputStream>,)| {
        let stream = store.data_mut().wasi.table.get_mut(&stream)?;
        written(stream.flush())
    })?;
    streams.func_wrap(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |_, _: (Resource<DynOutputStream>, u64)| -> wasmtime::Result<(Written,)> {
            Err(waits("output-stream.blocking-write-zeroes-and-flush"))
        },
    )?;
    streams.func_wrap(
        "[method]output-stream.blocking-splice",
        |_, _: (Resource<DynOutputStream>, Resource<DynInputStream>, u64)| -> wasmtime::Result<(Result<u64, GuestStreamError>,)> {
            Err(waits("output-stream.blocking-splice"))
        },
    )?;
    streams.func_wrap(
        "[method]input-stream.blocking-read",
        // There is no input: standard input is empty and there are no files or sockets.
        |_, _: (Resource<DynInputStream>, u64)| -> wasmtime::Result<(Result<Vec<u8>, GuestStreamError>,)> {
            Ok((Err(GuestStreamError::Closed),))
        },
    )?;
    streams.func_wrap(
        "[method]input-stream.blocking-skip",
        |_, _: (Resource<DynInputStream>, u64)| -> wasmtime::Result<(Result<u64, GuestStreamError>,)> {
            Ok((Err(GuestStreamError::Closed),))
        },
    )?;
    streams.resource("output-stream", ResourceType::host::<DynOutputStream>(), |mut store, rep| {
        store.data_mut().wasi.table.delete(Resource::<DynOutputStream>::new_own(rep))?;
        Ok(())
    })?;
    streams.resource("input-stream", ResourceType::host::<DynInputStream>(), |mut store, rep| {
        store.data_mut().wasi.table.delete(Resource::<DynInputStream>::new_own(rep))?;
        Ok(())
    })
}

fn shadow_poll(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut poll = linker.instance(IO_POLL)?;
    poll.func_wrap("poll", |_, _: (Vec<Resource<DynPollable>>,)| -> wasmtime::Result<(Vec<u32>,)> { Err(waits("poll")) })?;
    poll.func_wrap("[method]pollable.block", |_, _: (Resource<DynPollable>,)| -> wasmtime::Result<()> { Err(waits("pollable.block")) })?;
    poll.func_wrap("[method]pollable.ready", |_, _: (Resource<DynPollable>,)| -> wasmtime::Result<(bool,)> { Err(waits("pollable.ready")) })
}

fn waits(function: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("called wasi:io {function}: a plugin cannot sleep or wait on a worker"))
}

fn written(result: StreamResult<()>) -> wasmtime::Result<(Written,)> {
    match result {
        Ok(()) => Ok((Ok(()),)),
        Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => Ok((Err(GuestStreamError::Closed),)),
        Err(StreamError::Trap(error)) => Err(error),
    }
}

// === impl Printed ===

impl Printed {
    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = self.log.room().saturating_sub(self.line.len());
            self.line.extend(text.iter().take(room));
            if text.len() < part.len() {
                self.emit();
            }
        }
    }

    fn emit(&mut self) {
        if !self.line.is_empty() {
            // A stream does not know for which request it is written to.
            self.log.write(self.level, &String::from_utf8_lossy(&self.line), About::default());
            self.line.clear();
        }
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        self.emit();
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this one.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MOST_PRINTED {
            return Err(StreamError::trap(&format!("printed {} bytes by one call; {MOST_PRINTED} is the most", bytes.len())));
        }
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST_PRINTED)
    }
}
