//! `plugway top`: a live view in plain ANSI, of a running gateway (the difference of two looks at `/metrics` and `/status`) or of what a store
//! has kept.

mod frame;
mod kept;
mod lines;
mod reading;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use plugway::report;
use tokio::signal::unix::{SignalKind, signal};

use self::frame::frame;
use self::lines::Size;
use self::reading::Reading;
use super::{admin, block_on, load};

/// Another screen, which leaves what stood on this one; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// Seconds that are shown of a store.
const LAST: i64 = 300;
/// Columns where there is no terminal: what an incident is fits into them.
const WIDE: usize = 120;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The gateway's admin listener; without, that of the configuration.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// The configuration file, which says where the admin listener is.
    #[arg(long, default_value = "plugway.toml", conflicts_with = "admin")]
    config: PathBuf,
    /// The monitoring store, whether a gateway writes it or not: its last five minutes.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["admin", "config"])]
    store: Option<PathBuf>,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Print one frame and end; what is not a terminal gets one anyway.
    #[arg(long)]
    once: bool,
}

/// What is looked at, and how it looked before.
enum Watched {
    Gateway { address: SocketAddr, before: Box<Reading> },
    Store(PathBuf),
}

pub(super) fn run(options: &Options) -> Result<(), String> {
    let admin = match (&options.store, &options.admin) {
        (Some(_), _) => None,
        (None, Some(address)) => Some(admin::address(address)?),
        (None, None) => {
            Some(load(&options.config)?.config.admin.ok_or("this configuration has no admin listener: [admin] enabled = false")?)
        }
    };
    let file = options.store.clone().unwrap_or_default();
    let watched = async move {
        Ok::<_, String>(match admin {
            Some(address) => Watched::Gateway { address, before: Box::new(look(address).await?) },
            None => Watched::Store(file),
        })
    };
    let interval = Duration::from_secs(options.interval);
    if options.once || !std::io::stdout().is_terminal() {
        return block_on(async move {
            let mut watched = watched.await?;
            if let Watched::Gateway { .. } = watched {
                tokio::time::sleep(interval.min(Duration::from_secs(1))).await;
            }
            show(&watched.frame(Size { lines: usize::MAX, colours: false, ..size(WIDE) }).await?)
        });
    }
    block_on(async move {
        // Until there is something to show the terminal stays as it is, and Ctrl-C ends the program by itself.
        let watched = watched.await?;
        let text = |error: std::io::Error| error.to_string();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt()).map_err(text)?, signal(SignalKind::terminate()).map_err(text)?);
        show(ENTER)?;
        // Whatever it waits for.
        let ended = tokio::select! {
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            ended = live(watched, interval) => ended,
        };
        show(LEAVE)?;
        ended
    })
}

/// Shows frame after frame.
async fn live(mut watched: Watched, interval: Duration) -> Result<(), String> {
    // The first frame comes soon.
    let mut pause = Duration::from_millis(500);
    loop {
        tokio::time::sleep(pause).await;
        pause = interval;
        match watched.frame(size(80)).await {
            // Each line is written over what was there, and the rest cleared.
            Ok(frame) => show(&format!("\u{1b}[H{}\u{1b}[J", frame.replace('\n', "\u{1b}[K\r\n")))?,
            // It may be restarting.
            Err(error) => show(&format!("\u{1b}[H{error}\u{1b}[K\r\n\u{1b}[J"))?,
        }
    }
}

impl Watched {
    /// How it looks now, beside how it looked before.
    async fn frame(&mut self, size: Size) -> Result<String, String> {
        match self {
            Self::Gateway { address, before } => {
                let after = look(*address).await?;
                let frame = frame(before, &after, &address.to_string(), size);
                **before = after;
                Ok(frame)
            }
            Self::Store(file) => {
                let report = report::latest(file, LAST, plugway::store::seconds(SystemTime::now())).map_err(|error| error.to_string())?;
                Ok(kept::frame(&report, file, size))
            }
        }
    }
}

async fn look(address: SocketAddr) -> Result<Reading, String> {
    let (metrics, status) = (admin::get(address, "/metrics").await?, admin::get(address, "/status").await?);
    let status = serde_json::from_str(&status).map_err(|error| format!("{address} is no plugway: {error}"))?;
    Ok(Reading::new(&metrics, status, Instant::now(), plugway::store::seconds(SystemTime::now())))
}

/// What standard output is as large as; so many columns where it is no terminal.
fn size(otherwise: usize) -> Size {
    let window = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let of = |size: Option<u16>, default| size.filter(|size| *size > 0).map_or(default, usize::from);
    Size { columns: of(window.map(|window| window.ws_col), otherwise), lines: of(window.map(|window| window.ws_row), 24), colours: true }
}

fn show(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}
