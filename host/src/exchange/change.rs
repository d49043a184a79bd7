//! What a hook may change, and how: the phase rules, the headers nobody may set, and the size limits, in one place.

use std::sync::Arc;

use http::header::Entry;
use http::header::{CONTENT_LENGTH, EXPECT, FORWARDED, HOST, VIA};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::journal::{Previous, Undo};
use super::line::Line;
use super::pass::Pass;
use super::target::Query;
use super::{Exchange, Identity, Value};
use crate::http::connection_headers::is_connection_header;
use crate::http::path;

/// Which hook is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before it serves: `configure`, `on-endpoints`.
    Setup,
    /// Off the request's path: `on-outcomes`, `on-complete`, `on-batch`.
    Aside,
    /// `authorize`
    Authorize,
    /// `on-request`
    Request,
    /// `route`
    Route,
    /// `forward`
    Forward,
    /// `on-response`
    Response,
}

/// Why a change was refused. The words are those of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeError {
    /// Never settable by a plugin.
    Forbidden,
    /// Not in this phase.
    Immutable,
    /// Not legal; why.
    Invalid(&'static str),
    /// Past a limit of the plugin.
    TooLarge,
}

/// Limits of the plugin whose hook is running.
#[derive(Debug, Clone, Copy)]
pub struct ChangeLimits {
    /// Header lines a hook may set.
    pub headers: usize,
    /// Bytes of their names and values.
    pub header_bytes: usize,
    /// Bytes of attributes of one plugin, and of one identity.
    pub attribute_bytes: usize,
}

/// How a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Set,
    Append,
}

type Changed = Result<(), ChangeError>;

/// Whether no plugin may set this request header: it frames the message, belongs to the connection, or is how the
/// gateway itself tells the upstream who is calling.
pub fn is_reserved(name: &HeaderName) -> bool {
    *name == HOST
        || *name == CONTENT_LENGTH
        || *name == VIA
        || *name == FORWARDED
        || *name == EXPECT
        || is_connection_header(name)
        || name.as_str().strip_prefix("x-").is_some_and(|rest| {
            matches!(rest, "forwarded-for" | "forwarded-host" | "forwarded-proto" | "forwarded-port" | "real-ip" | "request-id")
        })
        || name.as_str() == "traceparent"
}

/// Whether no plugin may set this response header.
pub(super) fn is_reserved_in_response(name: &HeaderName) -> bool {
    *name == CONTENT_LENGTH || is_connection_header(name)
}

impl Exchange {
    /// Takes what a client may not say from a request that no hook has seen yet, and from trailers that may follow.
    pub fn keep_from_client(&mut self, names: &[HeaderName]) {
        if names.is_empty() {
            return;
        }
        names.iter().for_each(|name| drop(self.request.headers.remove(name)));
        self.claimed.begin_with(names);
    }

    /// Sets a request header.
    pub fn set_header(&mut self, phase: Phase, limits: &ChangeLimits, name: HeaderName, value: HeaderValue) -> Changed {
        self.write_header(phase, limits, name, value, Write::Set)
    }

    /// Sets a request header by a line that was looked at before. [`roll_back`](Self::roll_back) knows it by its number.
    pub fn set_line(&mut self, phase: Phase, limits: &ChangeLimits, number: u16, line: &Line) -> Changed {
        request_headers_change_in(phase)?;
        if line.is_reserved {
            return Err(ChangeError::Forbidden);
        }
        let previous = self.write_free_header(limits, &line.name, line.value.clone(), Write::Set)?;
        self.journal.push(Undo::RequestLine(number, previous));
        Ok(())
    }

    /// Adds a value to a request header.
    pub fn append_header(&mut self, phase: Phase, limits: &ChangeLimits, name: HeaderName, value: HeaderValue) -> Changed {
        self.write_header(phase, limits, name, value, Write::Append)
    }

    /// Removes a request header.
    pub fn remove_header(&mut self, phase: Phase, name: &HeaderName) -> Changed {
        request_headers_change_in(phase)?;
        if is_reserved(name) {
            return Err(ChangeError::Forbidden);
        }
        self.remove_free_header(name);
        Ok(())
    }

    /// Lets it pass, with what was looked at when the pass was made: no limit of the running hook counts that.
    pub fn admit(&mut self, pass: &Pass) -> Changed {
        self.set_identity(Arc::clone(&pass.identity));
        pass.remove.iter().for_each(|name| self.remove_free_header(name));
        for (name, value) in &pass.set {
            self.claimed.add(name);
            let previous = write(&mut self.request.headers, name, value.clone(), Write::Set)?;
            self.journal.push(Undo::RequestHeader(name.clone(), previous));
        }
        Ok(())
    }

    /// One that is not reserved.
    fn remove_free_header(&mut self, name: &HeaderName) {
        self.claimed.add(name);
        let previous = Previous::of(&self.request.headers, name);
        if !matches!(previous, Previous::Absent) {
            self.request.headers.remove(name);
            self.journal.push(Undo::RequestHeader(name.clone(), previous));
        }
    }

    fn write_header(&mut self, phase: Phase, limits: &ChangeLimits, name: HeaderName, value: HeaderValue, how: Write) -> Changed {
        request_headers_change_in(phase)?;
        if is_reserved(&name) {
            return Err(ChangeError::Forbidden);
        }
        let previous = self.write_free_header(limits, &name, value, how)?;
        self.journal.push(Undo::RequestHeader(name, previous));
        Ok(())
    }

    /// One that is not reserved. Gives what was there.
    fn write_free_header(
        &mut self,
        limits: &ChangeLimits,
        name: &HeaderName,
        value: HeaderValue,
        how: Write,
    ) -> Result<Previous, ChangeError> {
        self.count_header(limits, name, &value)?;
        self.claimed.add(name);
        write(&mut self.request.headers, name, value, how)
    }

    /// Sets the method.
    pub fn set_method(&mut self, phase: Phase, method: &str) -> Changed {
        changes_only_in(Phase::Request, phase)?;
        let method: Method = method.parse().map_err(|_| ChangeError::Invalid("not a method"))?;
        if method == Method::CONNECT || method == Method::TRACE {
            return Err(ChangeError::Forbidden);
        }
        let previous = std::mem::replace(&mut self.request.method, method);
        self.journal.push_first(Undo::Method(previous));
        Ok(())
    }

    /// Sets the path.
    pub fn set_path(&mut self, phase: Phase, new: String) -> Changed {
        changes_only_in(Phase::Request, phase)?;
        if new.len() > path::LONGEST {
            return Err(ChangeError::TooLarge);
        }
        if !path::is_normal(&new) {
            return Err(ChangeError::Invalid("the path is not in normal form"));
        }
        let previous = self.request.target.replace_path(Some(new));
        self.journal.push_first(Undo::Path(previous));
        Ok(())
    }

    /// Sets or removes the query.
    pub fn set_query(&mut self, phase: Phase, query: Option<String>) -> Changed {
        changes_only_in(Phase::Request, phase)?;
        if query.as_ref().is_some_and(|query| query.len() > path::LONGEST) {
            return Err(ChangeError::TooLarge);
        }
        if query.as_ref().is_some_and(|query| !path::may_be_query(query)) {
            return Err(ChangeError::Invalid("the query holds a byte that must be percent-encoded"));
        }
        let previous = self.request.target.replace_query(Query::Set(query));
        self.journal.push_first(Undo::Query(previous));
        Ok(())
    }

    /// Leaves a header for the final response.
    pub fn leave_response_header(&mut self, phase: Phase, limits: &ChangeLimits, name: HeaderName, value: HeaderValue) -> Changed {
        request_headers_change_in(phase)?;
        if is_reserved_in_response(&name) {
            return Err(ChangeError::Forbidden);
        }
        self.count_header(limits, &name, &value)?;
        self.response_headers.push((name, value));
        self.journal.push(Undo::LeftResponseHeader);
        Ok(())
    }

    /// Sets a response header.
    pub fn set_response_header(&mut self, phase: Phase, limits: &ChangeLimits, name: HeaderName, value: HeaderValue) -> Changed {
        self.write_response_header(phase, limits, name, value, Write::Set)
    }

    /// As [`set_line`](Self::set_line), of the response.
    pub fn set_response_line(&mut self, phase: Phase, limits: &ChangeLimits, number: u16, line: &Line) -> Changed {
        changes_only_in(Phase::Response, phase)?;
        if line.is_reserved_in_response {
            return Err(ChangeError::Forbidden);
        }
        let previous = self.write_free_response_header(limits, &line.name, line.value.clone(), Write::Set)?;
        self.journal.push(Undo::ResponseLine(number, previous));
        Ok(())
    }

    /// Adds a value to a response header.
    pub fn append_response_header(&mut self, phase: Phase, limits: &ChangeLimits, name: HeaderName, value: HeaderValue) -> Changed {
        self.write_response_header(phase, limits, name, value, Write::Append)
    }

    /// Removes a response header.
    pub fn remove_response_header(&mut self, phase: Phase, name: &HeaderName) -> Changed {
        changes_only_in(Phase::Response, phase)?;
        if is_reserved_in_response(name) {
            return Err(ChangeError::Forbidden);
        }
        let response = self.response.as_mut().ok_or(ChangeError::Immutable)?;
        let previous = Previous::of(&response.headers, name);
        if !matches!(previous, Previous::Absent) {
            response.headers.remove(name);
            self.journal.push(Undo::ResponseHeader(name.clone(), previous));
        }
        Ok(())
    }

    fn write_response_header(&mut self, phase: Phase, limits: &ChangeLimits, name: HeaderName, value: HeaderValue, how: Write) -> Changed {
        changes_only_in(Phase::Response, phase)?;
        if is_reserved_in_response(&name) {
            return Err(ChangeError::Forbidden);
        }
        let previous = self.write_free_response_header(limits, &name, value, how)?;
        self.journal.push(Undo::ResponseHeader(name, previous));
        Ok(())
    }

    /// One that is not reserved. Gives what was there.
    fn write_free_response_header(
        &mut self,
        limits: &ChangeLimits,
        name: &HeaderName,
        value: HeaderValue,
        how: Write,
    ) -> Result<Previous, ChangeError> {
        self.count_header(limits, name, &value)?;
        let response = self.response.as_mut().ok_or(ChangeError::Immutable)?;
        write(&mut response.headers, name, value, how)
    }

    /// Sets the response's status.
    pub fn set_status(&mut self, phase: Phase, status: u16) -> Changed {
        changes_only_in(Phase::Response, phase)?;
        let response = self.response.as_mut().ok_or(ChangeError::Immutable)?;
        let status = final_status(status).ok_or(ChangeError::Invalid("the status is not one of 200 to 599"))?;
        if has_no_body(status) != has_no_body(response.status) {
            return Err(ChangeError::Invalid("this status would change the message's framing"));
        }
        let previous = std::mem::replace(&mut response.status, status);
        self.journal.push_first(Undo::Status(previous));
        Ok(())
    }

    /// Sets an attribute in a plugin's own name space. Every hook may.
    pub fn set_attribute(&mut self, limits: &ChangeLimits, plugin: &Arc<str>, name: &str, value: Value) -> Changed {
        // What it replaces makes room.
        if self.attributes.size_without(plugin, name) + name.len() + value.size() > limits.attribute_bytes {
            self.journal.refused.attribute_bytes = self.journal.refused.attribute_bytes.saturating_add(1);
            return Err(ChangeError::TooLarge);
        }
        let previous = self.attributes.set(plugin, name, value);
        self.journal.push_first(Undo::Attribute(Arc::clone(plugin), name.to_owned(), previous));
        Ok(())
    }

    /// Sets who is calling; undone with the rest when the hook fails.
    pub fn set_identity(&mut self, identity: Arc<Identity>) {
        let previous = self.identity.replace(identity);
        self.journal.push(Undo::Identity(previous));
    }

    fn count_header(&mut self, limits: &ChangeLimits, name: &HeaderName, value: &HeaderValue) -> Changed {
        let bytes = self.journal.header_bytes + name.as_str().len() + value.len();
        if self.journal.refused.header(limits, self.journal.headers, bytes) {
            return Err(ChangeError::TooLarge);
        }
        self.journal.headers += 1;
        self.journal.header_bytes = bytes;
        Ok(())
    }
}

/// Writes and gives what was there, looking the name up once. A client may already have filled the map to the crate's own
/// bound (32,768 names).
fn write(headers: &mut http::HeaderMap, name: &HeaderName, value: HeaderValue, how: Write) -> Result<Previous, ChangeError> {
    match headers.try_entry(name).map_err(|_| ChangeError::TooLarge)? {
        Entry::Occupied(mut entry) => {
            let previous = Previous::those(entry.iter());
            match how {
                Write::Set => drop(entry.insert(value)),
                Write::Append => entry.append(value),
            }
            Ok(previous)
        }
        Entry::Vacant(entry) => {
            entry.try_insert(value).map_err(|_| ChangeError::TooLarge)?;
            Ok(Previous::Absent)
        }
    }
}

fn request_headers_change_in(phase: Phase) -> Changed {
    if matches!(phase, Phase::Authorize | Phase::Request) { Ok(()) } else { Err(ChangeError::Immutable) }
}

fn changes_only_in(allowed: Phase, phase: Phase) -> Changed {
    if phase == allowed { Ok(()) } else { Err(ChangeError::Immutable) }
}

/// A status a final response can have.
pub fn final_status(status: u16) -> Option<StatusCode> {
    (200..600).contains(&status).then(|| StatusCode::from_u16(status).ok()).flatten()
}

/// Whether a response with this status never has a body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5).
pub fn has_no_body(status: StatusCode) -> bool {
    matches!(status.as_u16(), 204 | 205 | 304)
}
