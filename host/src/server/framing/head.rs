//! A request's head, or a trailer section: the same lines, without the first.

use super::bytes::{Word, is_token, token_run, unexpected, value_run};
use super::known_host::KnownHost;
use super::target::Target;
use super::value::{CodingValue, HostValue, LengthValue, taken};
use super::{FramingFault, Limits};

/// A head or trailer section, as far as it was read.
#[derive(Debug)]
pub(super) struct Head {
    state: State,
    /// Whether these are trailers.
    trailers: bool,
    /// Bytes and lines that may still come.
    bytes_left: usize,
    headers_left: usize,
    /// The method, then the name of the header, as far as earlier runs of bytes held it.
    method: Word,
    name: Word,
    http10: bool,
    host: bool,
    length: Option<u64>,
    chunked: bool,
    /// Of the connection, so it stays.
    known_host: KnownHost,
}

#[derive(Debug)]
enum State {
    /// Nothing yet, save perhaps one empty line.
    Start {
        after_empty_line: bool,
    },
    StartLf,
    Method,
    Target(Target),
    /// So many bytes of the version are there.
    Version(usize),
    RequestLineLf,
    LineStart,
    Name,
    Plain,
    Length(LengthValue),
    Coding(CodingValue),
    Host(HostValue),
    LineLf,
    EndLf,
}

/// What follows a head that is complete.
#[derive(Debug)]
pub(super) enum HeadEvent {
    /// A body of that many bytes.
    Sized(u64),
    /// A chunked body.
    Chunked,
    /// The next request: these were trailers.
    EndOfTrailers,
}

/// Bytes read, or read before the fault.
type Read<T> = Result<(usize, T), (usize, FramingFault)>;

impl Head {
    pub(super) fn request(limits: Limits) -> Self {
        Self {
            state: State::Start { after_empty_line: false },
            trailers: false,
            bytes_left: limits.head_bytes,
            headers_left: limits.headers,
            method: Word::default(),
            name: Word::default(),
            http10: false,
            host: false,
            length: None,
            chunked: false,
            known_host: KnownHost::default(),
        }
    }

    /// The next one is a request's.
    pub(super) fn expect_request(&mut self, limits: Limits) {
        *self = Self { known_host: self.known_host, ..Self::request(limits) };
    }

    /// The next one is a trailer section.
    pub(super) fn expect_trailers(&mut self, limits: Limits) {
        *self = Self { state: State::LineStart, trailers: true, known_host: self.known_host, ..Self::request(limits) };
    }

    /// Whether nothing of it was read, an empty line aside.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self.state, State::Start { .. })
    }

    /// Reads on, at most to the end of the head.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Read<Option<HeadEvent>> {
        // What is over the limit is cut off, so that a fault before it is still found first.
        let allowed = bytes.get(..self.bytes_left).unwrap_or(bytes);
        let mut rest = allowed;
        let mut event = None;
        while !rest.is_empty() && event.is_none() {
            let before = allowed.len() - rest.len();
            let (read, done) = self.step(rest).map_err(|(read, fault)| (before + read, fault))?;
            rest = rest.get(read..).unwrap_or_default();
            event = done;
        }
        let read = allowed.len() - rest.len();
        self.bytes_left -= read;
        if event.is_none() && allowed.len() < bytes.len() {
            return Err((read, if self.trailers { FramingFault::TrailersTooLarge } else { FramingFault::HeadTooLarge }));
        }
        Ok((read, event))
    }

    /// Reads a line that is here to its end and whose value matters to nobody but who reads the request, as nearly every line is; whatever is not
    /// right with it is for [`step`](Self::step) to say.
    fn plain_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let name = token_run(bytes);
        // Names as long as one that matters are looked at there.
        if matches!(name, 0 | 4 | 14 | 17) {
            return None;
        }
        let value = bytes.get(name..)?.strip_prefix(b":")?;
        let length = value_run(value);
        value.get(length..)?.strip_prefix(b"\r\n")?;
        self.headers_left = self.headers_left.checked_sub(1)?;
        Some(name + 1 + length + 2)
    }

    /// The same, of as many such lines as follow each other.
    fn plain_lines(&mut self, bytes: &[u8]) -> usize {
        let mut read = 0;
        while let Some(line) = bytes.get(read..).and_then(|bytes| self.plain_line(bytes)) {
            read += line;
        }
        read
    }

    /// Reads a `Host` line that is here to its end, which most connections say again in every head. As above.
    fn host_line(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.host || self.trailers {
            return None;
        }
        let line = self.known_host.line(bytes)?;
        self.headers_left = self.headers_left.checked_sub(1)?;
        self.host = true;
        Some(line)
    }

    /// Reads one byte, or a run of them that belong together, and a line's end with what it ends; `bytes` is not empty.
    fn step(&mut self, bytes: &[u8]) -> Read<Option<HeadEvent>> {
        if matches!(self.state, State::LineStart) {
            let read = self.plain_lines(bytes);
            if read > 0 {
                return Ok((read, None));
            }
            if bytes.starts_with(b"\r\n") {
                return self.end().map(|event| (2, Some(event))).map_err(|fault| (1, fault));
            }
            if let Some(read) = self.host_line(bytes) {
                return Ok((read, None));
            }
            if bytes.first().is_some_and(|byte| is_token(*byte)) {
                self.state = self.header().map_err(|fault| (0, fault))?;
            }
        }
        let run = match &mut self.state {
            State::Target(target) => {
                let (read, done) = target.read(bytes, self.method.as_bytes())?;
                if done {
                    self.state = State::Version(0);
                }
                return Ok((read, None));
            }
            // Nearly every request's, these two.
            State::Start { .. } if bytes.starts_with(b"GET ") => {
                self.method.extend(b"GET");
                self.state = State::Target(Target::default());
                return Ok((b"GET ".len(), None));
            }
            State::Version(0) if bytes.starts_with(b"HTTP/1.1\r\n") => {
                self.state = State::LineStart;
                return Ok((b"HTTP/1.1\r\n".len(), None));
            }
            State::Plain => value_run(bytes),
            State::Length(value) => taken(bytes, |byte, _| value.push(byte).map(|()| 1))?,
            State::Coding(value) => taken(bytes, |byte, _| value.push(byte).map(|()| 1))?,
            State::Host(value) => taken(bytes, |_, rest| value.read(rest))?,
            State::Method | State::Name => token_run(bytes),
            _ => 0,
        };
        let word = bytes.get(..run).unwrap_or_default();
        let Some(&byte) = bytes.get(run) else {
            match &self.state {
                State::Method => self.method.extend(word),
                State::Name => self.name.extend(word),
                _ => {}
            }
            return Ok((run, None));
        };
        let event = match &self.state {
            State::Method => self.end_method(word, byte).map(|()| None),
            State::Name => self.end_name(word, byte).map(|()| None),
            _ => self.push(byte),
        };
        let event = event.map_err(|fault| (run, fault))?;
        if matches!(self.state, State::LineLf) && bytes.get(run + 1) == Some(&b'\n') {
            self.state = State::LineStart;
            return Ok((run + 2, event));
        }
        Ok((run + 1, event))
    }

    fn end_method(&mut self, word: &[u8], byte: u8) -> Result<(), FramingFault> {
        self.method.extend(word);
        if byte != b' ' {
            return Err(unexpected(byte, FramingFault::InvalidRequestLine));
        }
        self.state = State::Target(Target::default());
        Ok(())
    }

    fn end_name(&mut self, word: &[u8], byte: u8) -> Result<(), FramingFault> {
        match byte {
            b':' => {}
            b' ' | b'\t' => return Err(FramingFault::SpaceBeforeColon),
            _ => return Err(unexpected(byte, FramingFault::InvalidHeaderName)),
        }
        // A name that lies whole in this run is not copied.
        let mut whole = self.name;
        let name = if whole.is_empty() {
            word
        } else {
            whole.extend(word);
            whole.as_bytes()
        };
        self.state = self.value_of(name)?;
        Ok(())
    }

    /// What kind of value follows a name.
    fn value_of(&mut self, name: &[u8]) -> Result<State, FramingFault> {
        let kind = match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => State::Host(HostValue::default()),
            14 if name.eq_ignore_ascii_case(b"content-length") => State::Length(LengthValue::default()),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => State::Coding(CodingValue::default()),
            _ => return Ok(State::Plain),
        };
        match kind {
            _ if self.trailers => Err(FramingFault::FramingTrailer),
            State::Host(_) if self.host => Err(FramingFault::RepeatedHost),
            State::Length(_) if self.length.is_some() => Err(FramingFault::RepeatedContentLength),
            State::Coding(_) if self.chunked => Err(FramingFault::RepeatedTransferEncoding),
            State::Coding(_) if self.http10 => Err(FramingFault::TransferEncodingInHttp10),
            State::Coding(_) if self.length.is_some() => Err(FramingFault::LengthWithTransferEncoding),
            State::Length(_) if self.chunked => Err(FramingFault::LengthWithTransferEncoding),
            kind => Ok(kind),
        }
    }

    fn push(&mut self, byte: u8) -> Result<Option<HeadEvent>, FramingFault> {
        self.state = match (&mut self.state, byte) {
            (State::Start { after_empty_line: false }, b'\r') => State::StartLf,
            (State::Start { .. }, b'\r') => return Err(FramingFault::EmptyLines),
            (State::StartLf, b'\n') => State::Start { after_empty_line: true },
            (State::Start { .. }, _) if is_token(byte) => {
                self.method.extend(&[byte]);
                State::Method
            }
            (State::Start { .. }, _) => return Err(unexpected(byte, FramingFault::InvalidRequestLine)),
            (State::Version(read), _) => Self::version(*read, byte, &mut self.http10)?,
            (State::RequestLineLf | State::LineLf, b'\n') => State::LineStart,
            (State::LineStart, b'\r') => State::EndLf,
            (State::LineStart, b' ' | b'\t') => return Err(FramingFault::ObsoleteFold),
            (State::LineStart, _) => return Err(unexpected(byte, FramingFault::InvalidHeaderName)),
            (State::EndLf, b'\n') => return self.end().map(Some),
            (State::StartLf | State::RequestLineLf | State::LineLf | State::EndLf, _) => return Err(FramingFault::BareCr),
            (State::Plain, b'\r') => State::LineLf,
            (State::Plain, b'\t') => return Ok(None),
            (_, b'\r') => self.end_value()?,
            // What may stand in a value was read before.
            (_, _) => return Err(unexpected(byte, FramingFault::Control)),
        };
        Ok(None)
    }

    /// The next state after one more byte of `HTTP/1.0` or `HTTP/1.1`, or the CR after it.
    fn version(read: usize, byte: u8, http10: &mut bool) -> Result<State, FramingFault> {
        const START: &[u8] = b"HTTP/1.";
        match byte {
            _ if START.get(read) == Some(&byte) => {}
            b'0' | b'1' if read == START.len() => *http10 = byte == b'0',
            b'\r' if read > START.len() => return Ok(State::RequestLineLf),
            b'0'..=b'9' | b'.' if read > 4 => return Err(FramingFault::UnsupportedVersion),
            _ => return Err(unexpected(byte, FramingFault::InvalidRequestLine)),
        }
        Ok(State::Version(read + 1))
    }

    /// A header line begins.
    fn header(&mut self) -> Result<State, FramingFault> {
        let over = if self.trailers { FramingFault::TrailersTooLarge } else { FramingFault::TooManyHeaders };
        self.headers_left = self.headers_left.checked_sub(1).ok_or(over)?;
        self.name = Word::default();
        Ok(State::Name)
    }

    /// The CR after a value that matters.
    fn end_value(&mut self) -> Result<State, FramingFault> {
        match &self.state {
            State::Length(value) => self.length = Some(value.end()?),
            State::Coding(value) => {
                value.end()?;
                self.chunked = true;
            }
            State::Host(value) => {
                value.end()?;
                self.host = true;
            }
            _ => {}
        }
        Ok(State::LineLf)
    }

    /// The last LF.
    fn end(&self) -> Result<HeadEvent, FramingFault> {
        match (self.length, self.chunked) {
            _ if self.trailers => Ok(HeadEvent::EndOfTrailers),
            _ if !self.host && !self.http10 => Err(FramingFault::MissingHost),
            (_, true) => Ok(HeadEvent::Chunked),
            (length, false) => Ok(HeadEvent::Sized(length.unwrap_or(0))),
        }
    }
}
