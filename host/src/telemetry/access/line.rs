//! A line as bytes. Whatever a client sent, it stays one line: JSON escapes every control character, and Apache's formats write
//! quotes, backslashes and what is not printable ASCII as `\"`, `\\` and `\xhh`.

use std::io::Write;
use std::net::IpAddr;

use http::HeaderName;
use http::header::{REFERER, USER_AGENT};
use serde::Serialize;

use super::clock::Clock;
use super::{AccessLine, AccessPlan, What};
use crate::config::model::{AccessField, AccessFormat};
use crate::exchange::Value;
use crate::fault::ErrorCause;

/// What the combined format has of a request's headers, in its order.
pub(super) const COMBINED_HEADERS: [HeaderName; 2] = [REFERER, USER_AGENT];

impl AccessPlan {
    /// Writes a line.
    pub(super) fn write(&self, line: &AccessLine<'_>, clock: &mut Clock, out: &mut Vec<u8>) {
        match self.format {
            AccessFormat::Json => self.json(line, clock, out),
            AccessFormat::Common | AccessFormat::Combined => self.apache(line, clock, out),
        }
        out.push(b'\n');
    }

    /// What a line does not have is left out.
    fn json(&self, line: &AccessLine<'_>, clock: &mut Clock, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        clock.iso(line.received, out);
        // Tells these lines from those of `[log]` where both are gathered.
        out.extend_from_slice(b"\",\"target\":\"access\"");
        for field in &self.fields {
            let before = out.len();
            out.extend_from_slice(&field.key);
            let written = match &field.what {
                What::Fact(fact) => self.fact(fact, line, out),
                What::RequestHeader(at) => self.kept(&self.request_headers, line.request_headers, *at).map(|value| json(out, &*value)),
                What::ResponseHeader(at) => self.kept(&self.response_headers, line.response_headers, *at).map(|value| json(out, &*value)),
            };
            if written.is_none() {
                out.truncate(before);
            }
        }
        out.push(b'}');
    }

    fn fact(&self, fact: &AccessField, line: &AccessLine<'_>, out: &mut Vec<u8>) -> Option<()> {
        let exchange = line.exchange;
        let tls = exchange.and_then(|exchange| exchange.connection.tls.as_ref());
        match fact {
            AccessField::Method => text(out, line.method),
            AccessField::Host => text(out, &exchange?.request.authority),
            AccessField::Path => text(out, exchange?.request.raw_path()),
            AccessField::Query => text(out, &self.redaction.query(exchange?.request.target.received()?.query()?)),
            AccessField::Status => json(out, &line.status),
            AccessField::DurationUs => json(out, &micros(line.duration)),
            AccessField::UpstreamUs => json(out, &micros(exchange?.attempts.upstream_time?)),
            AccessField::Route => text(out, &line.route?.name),
            AccessField::Api => text(out, line.route?.api.as_deref()?),
            AccessField::Version => text(out, line.route?.version.as_deref()?),
            AccessField::Endpoint => text(out, line.endpoint?),
            AccessField::Attempts => json(out, &exchange.map_or(0, |exchange| exchange.attempts.number)),
            AccessField::Client => address(out, exchange?.client),
            AccessField::Peer => shown(out, line.peer()?),
            AccessField::Listener => text(out, &exchange?.connection.listener),
            AccessField::Consumer => text(out, &exchange?.identity.as_ref()?.subject),
            AccessField::RequestBytes => json(out, &line.request_bytes),
            AccessField::ResponseBytes => json(out, &line.response_bytes),
            AccessField::Fault => text(out, line.fault.map(ErrorCause::code)?),
            AccessField::Blame => text(out, line.fault.map(|fault| fault.blame(line.status).as_str())?),
            AccessField::Protocol => text(out, line.protocol.alpn()),
            AccessField::TlsVersion => text(out, tls?.version),
            AccessField::RequestId => text(out, line.request_id),
            AccessField::TraceId => text(out, Some(line.trace_id).filter(|id| !id.is_empty())?),
            AccessField::Attribute { plugin, name } => match line.attributes()?.get(plugin, name)? {
                Value::Text(text) => json(out, text),
                Value::Integer(integer) => json(out, integer),
                Value::Number(number) => json(out, number),
                Value::Boolean(boolean) => json(out, boolean),
                Value::Bytes(bytes) => json(out, &*String::from_utf8_lossy(bytes)),
            },
            AccessField::RequestHeader(_) | AccessField::ResponseHeader(_) => return None,
        }
        Some(())
    }

    fn kept<'k>(&self, names: &[HeaderName], kept: &'k super::Kept, at: usize) -> Option<std::borrow::Cow<'k, str>> {
        let value = kept.as_ref()?.get(at)?.as_ref()?;
        Some(self.redaction.header(names.get(at)?, value.as_bytes()))
    }

    /// `%h %l %u %t "%r" %>s %b`, and `"%{Referer}i" "%{User-agent}i"` where it is combined.
    fn apache(&self, line: &AccessLine<'_>, clock: &mut Clock, out: &mut Vec<u8>) {
        let exchange = line.exchange;
        match exchange {
            // Writing to memory does not fail, here and below.
            Some(exchange) => drop(write!(out, "{}", exchange.client)),
            None => out.push(b'-'),
        }
        out.extend_from_slice(b" - ");
        match exchange.and_then(|exchange| exchange.identity.as_ref()).map(|identity| identity.subject.as_str()) {
            // A space would be the next field.
            Some(consumer) if !consumer.is_empty() => escape(out, consumer.as_bytes(), true),
            _ => out.push(b'-'),
        }
        out.extend_from_slice(b" [");
        clock.apache(line.received, out);
        out.extend_from_slice(b"] \"");
        escape(out, line.method.as_bytes(), false);
        out.push(b' ');
        let target = exchange.and_then(|exchange| exchange.request.target.received());
        escape(out, target.map_or("/", |target| target.path()).as_bytes(), false);
        if let Some(query) = target.and_then(|target| target.query()) {
            out.push(b'?');
            escape(out, self.redaction.query(query).as_bytes(), false);
        }
        drop(write!(out, " {}\" {} ", line.protocol.in_request_line(), line.status));
        match line.response_bytes {
            0 => out.push(b'-'),
            bytes => drop(write!(out, "{bytes}")),
        }
        if self.format == AccessFormat::Combined {
            for at in 0..COMBINED_HEADERS.len() {
                out.extend_from_slice(b" \"");
                match self.kept(&self.request_headers, line.request_headers, at) {
                    Some(value) => escape(out, value.as_bytes(), false),
                    None => out.push(b'-'),
                }
                out.push(b'"');
            }
        }
    }
}

/// A value as JSON.
fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Text, numbers and booleans can all be written, and memory takes them.
    drop(serde_json::to_writer(out, value));
}

/// Text as JSON. Nearly all of it has nothing to escape.
fn text(out: &mut Vec<u8>, value: &str) {
    // All of it is looked at, whatever is found: that takes vector instructions, a fifth of the time of a loop that may end early.
    let escaped = value.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\'));
    if escaped {
        return json(out, value);
    }
    out.reserve(value.len() + 2);
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// Addresses have nothing to escape.
fn shown(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    drop(write!(out, "\"{value}\""));
}

/// An address as JSON.
fn address(out: &mut Vec<u8>, address: IpAddr) {
    let IpAddr::V4(address) = address else { return shown(out, address) };
    out.push(b'"');
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        json(out, &octet);
    }
    out.push(b'"');
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// As Apache escapes what clients send.
fn escape(out: &mut Vec<u8>, bytes: &[u8], spaces: bool) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b' ' if spaces => out.extend_from_slice(b"\\x20"),
            b' '..=b'~' => out.push(*byte),
            other => drop(write!(out, "\\x{other:02x}")),
        }
    }
}
