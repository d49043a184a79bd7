//! `plugway top`: a live view of a running gateway, in plain ANSI. What it shows is the difference of two looks at `/metrics` and `/status`.

mod frame;
mod reading;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::frame::{Size, frame};
use self::reading::Reading;
use super::{admin, block_on, load};

/// Another screen, which leaves what stood on this one; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
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
    /// Seconds between two looks.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Print one frame and end; what is not a terminal gets one anyway.
    #[arg(long)]
    once: bool,
}

pub(super) fn run(options: &Options) -> Result<(), String> {
    let address = match &options.admin {
        Some(address) => admin::address(address)?,
        None => load(&options.config)?.config.admin.ok_or("this configuration has no admin listener: [admin] enabled = false")?,
    };
    let interval = Duration::from_secs(options.interval);
    if options.once || !std::io::stdout().is_terminal() {
        return block_on(once(address, interval.min(Duration::from_secs(1))));
    }
    show(ENTER)?;
    let ended = block_on(live(address, interval));
    show(LEAVE)?;
    ended
}

async fn once(address: SocketAddr, interval: Duration) -> Result<(), String> {
    let before = look(address).await?;
    tokio::time::sleep(interval).await;
    let after = look(address).await?;
    show(&frame(&before, &after, &address.to_string(), Size { lines: usize::MAX, colours: false, ..size(WIDE) }))
}

async fn live(address: SocketAddr, interval: Duration) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt()).map_err(text)?, signal(SignalKind::terminate()).map_err(text)?);
    let mut before = look(address).await?;
    // The first frame comes soon.
    let mut pause = Duration::from_millis(500);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        pause = interval;
        match look(address).await {
            Ok(after) => {
                let lines = frame(&before, &after, &address.to_string(), size(80));
                // Each line is written over what was there, and the rest cleared.
                show(&format!("\u{1b}[H{}\u{1b}[J", lines.replace('\n', "\u{1b}[K\r\n")))?;
                before = after;
            }
            // It may be restarting.
            Err(error) => show(&format!("\u{1b}[H{error}\u{1b}[K\r\n\u{1b}[J"))?,
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
