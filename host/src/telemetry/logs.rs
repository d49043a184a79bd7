//! Log lines: for people on a terminal, JSON otherwise, always to standard error.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::model::{Log, LogFormat};

/// Sends log lines to standard error from now on. Called a second time in one process it changes nothing.
pub fn init(log: &Log) {
    let terminal = io::stderr().is_terminal();
    let human = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let layer = fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(LevelFilter::from_level(log.level));
    let set = if human {
        registry.with(layer.with_ansi(terminal).compact()).try_init()
    } else {
        registry.with(layer.json().flatten_event(true).with_current_span(false).with_span_list(false)).try_init()
    };
    // Another subscriber is there already: an embedder's or a test's, and it stays.
    drop(set);
}
