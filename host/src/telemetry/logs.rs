//! Log lines: for people on a terminal, JSON otherwise, always to standard error, by a thread that nobody waits for.

mod writer;

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::model::{Log, LogFormat};
use crate::config::plain;
pub use writer::LogWriter;
pub(super) use writer::lost;

/// Sends log lines to standard error from now on. Called a second time in one process it changes nothing. What is returned is to be kept
/// until the end, which waits for the last lines; `None` where there can be no further thread, and lines are written by who has them.
pub fn init(log: &Log) -> Option<LogWriter> {
    let (writer, lines) = match LogWriter::start(io::stderr()) {
        Ok((writer, lines)) => (Some(writer), BoxMakeWriter::new(lines)),
        Err(_) => (None, BoxMakeWriter::new(io::stderr)),
    };
    let terminal = io::stderr().is_terminal();
    let human = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry().with(LevelFilter::from_level(log.level));
    let set = if human {
        registry.with(for_people(lines, terminal)).try_init()
    } else {
        let layer = fmt::layer().with_writer(lines);
        registry.with(layer.json().flatten_event(true).with_current_span(false).with_span_list(false)).try_init()
    };
    // Another subscriber is there already: an embedder's or a test's, and it stays.
    drop(set);
    writer
}

/// Lines for people. Values may be anybody's words, such as a plugin's, so they are shown without what a terminal would obey; JSON has
/// escapes of its own.
fn for_people<S, W>(writer: W, colours: bool) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let fields = debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", plain(format_args!("{value:?}"))),
        name => write!(writer, "{name}={}", plain(format_args!("{value:?}"))),
    });
    fmt::layer().with_writer(writer).with_ansi(colours).compact().fmt_fields(fields.delimited(" "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_types, reason = "a writer that a test can look into")]

    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn words_of_others_cannot_write_lines_of_their_own_or_move_a_terminal() {
        let written = Kept::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::registry().with(for_people(move || writer.clone(), false));
        tracing::subscriber::with_default(subscriber, || {
            let words = "one\n2026-01-01T00:00:00Z  INFO Reloaded\u{1b}]0;title\u{7}\r";
            tracing::warn!(plugin = "auth", error = %words, "{words}");
            tracing::info!(port = 80, name = "two words", "Listening");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
        let own: Vec<_> = text.lines().filter(|line| !line.starts_with("    ")).collect();
        assert_eq!(own.len(), 2, "{text}");
        assert!(own[0].contains(" WARN ") && own[0].contains(" one"), "{text}");
        assert!(text.contains("plugin=\"auth\"") && text.contains("error=one\n    2026"), "{text}");
        assert!(own[1].contains("Listening port=80 name=\"two words\""), "{text}");
    }
}
