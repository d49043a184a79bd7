//! `[limits]`, `[timeouts]` and `[log]`.

use super::Compiler;
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{Limits, Log, LogFormat, Timeouts};
use crate::config::schema::{self, Count, LogLevel, Span};

impl Compiler<'_> {
    pub(super) fn limits(&mut self, raw: schema::Limits) -> Limits {
        let at = At::default().key("limits");
        Limits {
            max_connections: count(raw.max_connections, defaults::MAX_CONNECTIONS),
            // Below a kibibyte no browser gets in; above, the head is held in memory per connection.
            max_head_bytes: self.size(&at.key("max_head_bytes"), raw.max_head_bytes, defaults::MAX_HEAD_BYTES, 1 << 10..=16 << 20),
            max_headers: count(raw.max_headers, defaults::MAX_HEADERS),
            max_body_bytes: self.size_or_unlimited(&at.key("max_body_bytes"), raw.max_body_bytes).flatten(),
            max_concurrent_streams: raw.max_concurrent_streams.unwrap_or(defaults::MAX_CONCURRENT_STREAMS),
            max_requests_per_connection: match raw.max_requests_per_connection {
                Some(Count::Number(requests)) => Some(requests),
                Some(Count::Word(_)) | None => None,
            },
            max_connection_age: match raw.max_connection_age {
                Some(Span(text)) if text == "unlimited" => None,
                // What stands behind the default is an error, so it never ages anything.
                Some(span) => Some(self.span(&at.key("max_connection_age"), Some(span), defaults::IDLE)),
                None => None,
            },
            max_requests_in_flight: count(raw.max_requests_in_flight, defaults::MAX_REQUESTS_IN_FLIGHT),
            max_plugin_instances: raw.max_plugin_instances.unwrap_or(defaults::MAX_PLUGIN_INSTANCES),
        }
    }

    pub(super) fn timeouts(&mut self, raw: schema::Timeouts) -> Timeouts {
        let at = At::default().key("timeouts");
        Timeouts {
            handshake: self.span(&at.key("handshake"), raw.handshake, defaults::HANDSHAKE),
            head: self.span(&at.key("head"), raw.head, defaults::HEAD),
            idle: self.span(&at.key("idle"), raw.idle, defaults::IDLE),
            stream: self.span(&at.key("stream"), raw.stream, defaults::STREAM),
            drain: self.span(&at.key("drain"), raw.drain, defaults::DRAIN),
        }
    }
}

/// A count, or its default. More than memory can hold is as good as all of it.
pub(super) fn count(count: Option<u64>, default: usize) -> usize {
    count.map_or(default, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) fn log(raw: schema::Log) -> Log {
    Log {
        level: match raw.level {
            None => defaults::LOG_LEVEL,
            Some(LogLevel::Error) => tracing::Level::ERROR,
            Some(LogLevel::Warn) => tracing::Level::WARN,
            Some(LogLevel::Info) => tracing::Level::INFO,
            Some(LogLevel::Debug) => tracing::Level::DEBUG,
            Some(LogLevel::Trace) => tracing::Level::TRACE,
        },
        format: match raw.format {
            None | Some(schema::LogFormat::Auto) => LogFormat::Auto,
            Some(schema::LogFormat::Human) => LogFormat::Human,
            Some(schema::LogFormat::Json) => LogFormat::Json,
        },
    }
}
