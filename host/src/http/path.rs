//! The one form of a path that is matched, authorized, hashed and forwarded. `docs/paths.md` has every rule with an
//! example; what two parsers could read differently is refused there, everything else gets exactly one spelling
//! (RFC 3986, sections 5.2.4 and 6.2.2).

use std::borrow::Cow;
use std::fmt;

use crate::fault::Fault;

/// Why a path is refused. Every one is a 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathFault {
    /// It does not begin with `/` (RFC 9112, section 3.2.1).
    NotAbsolute,
    /// A raw control character or space (RFC 3986, section 2).
    Control,
    /// A raw byte above 0x7F (RFC 3986, section 2).
    NonAscii,
    /// A raw `?` or `#`: the caller cuts the query off, and a request target has no fragment.
    Delimiter,
    /// A `%` that two hexadecimal digits do not follow (RFC 3986, section 2.1).
    InvalidEscape,
    /// Escaped bytes that are no UTF-8, overlong forms of `.` and `/` among them (RFC 3629, section 3).
    InvalidUtf8,
    /// `\`, which some servers take for `/`.
    Backslash,
    /// `%2F` or `%5C`: a separator for servers that decode before they split.
    EscapedSeparator,
    /// `%00` to `%1F`, or `%7F`.
    EscapedControl,
    /// `;` or `%3B`: servlet containers cut off what follows it in a segment.
    Parameter,
    /// A dot segment spelled with `%2E`.
    EscapedDotSegment,
    /// `..` above the root: some clamp, some refuse.
    AboveRoot,
    /// `..` after an empty segment: whether `//` is merged before or after decides what it takes away.
    DotsAfterEmptySegment,
    /// `%25` in front of two digits that would be structure if they were decoded once more.
    DoubleEscape,
}

impl PathFault {
    /// The row of the fault table it is answered with.
    pub fn fault(self) -> Fault {
        match self {
            Self::NotAbsolute | Self::Control | Self::NonAscii | Self::Delimiter | Self::InvalidEscape => Fault::MalformedRequest,
            Self::InvalidUtf8
            | Self::Backslash
            | Self::EscapedSeparator
            | Self::EscapedControl
            | Self::Parameter
            | Self::EscapedDotSegment
            | Self::AboveRoot
            | Self::DotsAfterEmptySegment
            | Self::DoubleEscape => Fault::AmbiguousPath,
        }
    }
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not begin with `/`",
            Self::Control => "a control character or space in the path",
            Self::NonAscii => "a byte above 0x7F in the path",
            Self::Delimiter => "`?` or `#` in the path",
            Self::InvalidEscape => "a `%` without two hexadecimal digits in the path",
            Self::InvalidUtf8 => "escaped bytes in the path are no UTF-8",
            Self::Backslash => "`\\` in the path",
            Self::EscapedSeparator => "an escaped `/` or `\\` in the path",
            Self::EscapedControl => "an escaped control character in the path",
            Self::Parameter => "`;` in the path",
            Self::EscapedDotSegment => "an escaped dot segment in the path",
            Self::AboveRoot => "`..` above the root of the path",
            Self::DotsAfterEmptySegment => "`..` after `//` in the path",
            Self::DoubleEscape => "a doubly escaped separator, dot or control character in the path",
        })
    }
}

impl std::error::Error for PathFault {}

/// The normal form of a path as received (without query), or why there is none. The empty path of an absolute-form target
/// is `/`. Borrows where the normal form is the path itself, as it is for nearly every request.
pub fn normalise(raw: &str) -> Result<Cow<'_, str>, PathFault> {
    if raw.is_empty() {
        return Ok(Cow::Borrowed("/"));
    }
    if is_plain(raw.as_bytes()) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut rest = raw.strip_prefix('/').ok_or(PathFault::NotAbsolute)?;
    let mut output = Output { raw, same: 0, own: None };
    output.push(b'/');
    let mut empty_before = false;
    loop {
        let (segment, tail) = match rest.split_once('/') {
            Some((segment, tail)) => (segment, Some(tail)),
            None => (rest, None),
        };
        let start = output.len();
        let escaped_dot = write_segment(segment, &mut output)?;
        let dots = match output.since(start) {
            b"." => 1,
            b".." => 2,
            _ => 0,
        };
        if dots > 0 {
            output.truncate(start);
            match (escaped_dot, dots == 2, empty_before) {
                (true, _, _) => return Err(PathFault::EscapedDotSegment),
                (false, true, true) => return Err(PathFault::DotsAfterEmptySegment),
                (false, true, false) => output.pop_segment()?,
                (false, false, _) => {}
            }
        } else if segment.is_empty() {
            empty_before = true;
        } else if tail.is_some() {
            output.push(b'/');
        }
        match tail {
            Some(tail) => rest = tail,
            None => return Ok(output.finish()),
        }
    }
}

/// Longest path that a plugin may set, and longest query, bytes: with both a target is as long as the `http` crate has them.
pub const LONGEST: usize = 32_766;

/// Longest target that the `http` crate has, bytes. One that was received is no longer; with its path in normal form, or another path, it can be.
pub const LONGEST_TARGET: usize = 65_534;

/// Whether a path is its own normal form.
pub fn is_normal(path: &str) -> bool {
    match normalise(path) {
        Ok(normal) => normal == path,
        Err(_) => false,
    }
}

/// Whether every byte may stand in a query as it is: what the `http` crate refuses would only fail the request once it is sent.
pub fn may_be_query(query: &str) -> bool {
    query.bytes().all(|byte| matches!(byte, 0x21 | 0x24..=0x3B | 0x3D | 0x3F..=0x7E))
}

/// The bytes a segment of a normal path stands for. Allocates only when something in it is escaped.
pub fn decode_segment(segment: &str) -> Cow<'_, [u8]> {
    let bytes = segment.as_bytes();
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, escape(tail)) {
            (b'%', Some((value, tail))) => {
                decoded.push(value);
                rest = tail;
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    Cow::Owned(decoded)
}

/// What a byte means for the path it stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Unreserved, or a delimiter that means nothing here.
    Plain,
    Slash,
    Dot,
    Percent,
    /// Not allowed raw by RFC 3986 but sent by browsers: gets escaped.
    Escaped,
    Refused(PathFault),
}

const fn class(byte: u8) -> Class {
    match byte {
        b'/' => Class::Slash,
        b'.' => Class::Dot,
        b'%' => Class::Percent,
        b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::Escaped,
        b'\\' => Class::Refused(PathFault::Backslash),
        b';' => Class::Refused(PathFault::Parameter),
        b'?' | b'#' => Class::Refused(PathFault::Delimiter),
        0..=b' ' | 0x7F => Class::Refused(PathFault::Control),
        0x80.. => Class::Refused(PathFault::NonAscii),
        _ => Class::Plain,
    }
}

/// The fast path: a path in which nothing has to be looked at twice. `/.well-known` and escapes are not plain, but normal.
fn is_plain(bytes: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in bytes {
        after_slash = match class(byte) {
            Class::Plain => false,
            Class::Slash if !after_slash => true,
            Class::Dot if !after_slash => false,
            _ => return false,
        };
    }
    bytes.first() == Some(&b'/')
}

/// Writes one segment in its normal spelling and says whether a dot in it was escaped.
fn write_segment(segment: &str, output: &mut Output<'_>) -> Result<bool, PathFault> {
    let start = output.len();
    let mut character = Character::default();
    let mut escaped_dot = false;
    let mut escaped_percent = false;
    let mut rest = segment.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match class(byte) {
            Class::Plain | Class::Dot | Class::Slash => {
                character.must_be_complete()?;
                output.push(byte);
            }
            Class::Escaped => {
                character.must_be_complete()?;
                output.push_escaped(byte);
            }
            Class::Refused(fault) => return Err(fault),
            Class::Percent => {
                let (value, tail) = escape(tail).ok_or(PathFault::InvalidEscape)?;
                rest = tail;
                if value >= 0x80 {
                    character.push(value)?;
                } else {
                    character.must_be_complete()?;
                }
                escaped_dot |= value == b'.';
                escaped_percent |= value == b'%';
                match value {
                    b'/' | b'\\' => return Err(PathFault::EscapedSeparator),
                    b';' => return Err(PathFault::Parameter),
                    0..=0x1F | 0x7F => return Err(PathFault::EscapedControl),
                    b'-' | b'.' | b'_' | b'~' => output.push(value),
                    value if value.is_ascii_alphanumeric() => output.push(value),
                    value => output.push_escaped(value),
                }
            }
        }
    }
    character.must_be_complete()?;
    // Looked for in what was written: `%25%32%65` becomes `%252e` only now.
    if escaped_percent && output.since(start).windows(5).any(is_double_escape) {
        return Err(PathFault::DoubleEscape);
    }
    Ok(escaped_dot)
}

fn is_double_escape(window: &[u8]) -> bool {
    let inner = window.strip_prefix(b"%25").and_then(escape);
    matches!(inner, Some((b'.' | b'/' | b'\\' | b';' | b'%' | 0..=0x1F | 0x7F, _)))
}

/// The byte two hexadecimal digits spell, and what follows them.
fn escape(digits: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = digits.split_first_chunk::<2>()?;
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    Some((u8::try_from(high * 16 + low).ok()?, rest))
}

/// The escaped bytes of one character that takes more than one.
#[derive(Default)]
struct Character {
    bytes: [u8; 4],
    length: usize,
}

impl Character {
    fn push(&mut self, byte: u8) -> Result<(), PathFault> {
        *self.bytes.get_mut(self.length).ok_or(PathFault::InvalidUtf8)? = byte;
        self.length += 1;
        match std::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()) {
            Ok(_) => self.length = 0,
            Err(error) if error.error_len().is_some() => return Err(PathFault::InvalidUtf8),
            Err(_) => {}
        }
        Ok(())
    }

    fn must_be_complete(&self) -> Result<(), PathFault> {
        if self.length == 0 { Ok(()) } else { Err(PathFault::InvalidUtf8) }
    }
}

/// A path being written that is `raw[..same]` until it first differs from it.
struct Output<'a> {
    raw: &'a str,
    same: usize,
    own: Option<Vec<u8>>,
}

impl<'a> Output<'a> {
    fn written(&self) -> &[u8] {
        match &self.own {
            Some(own) => own,
            None => self.raw.as_bytes().get(..self.same).unwrap_or_default(),
        }
    }

    fn len(&self) -> usize {
        self.written().len()
    }

    fn since(&self, start: usize) -> &[u8] {
        self.written().get(start..).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(own) = &mut self.own {
            own.push(byte);
        } else if self.raw.as_bytes().get(self.same) == Some(&byte) {
            self.same += 1;
        } else {
            // Escaping makes three bytes of one; nothing else grows.
            let mut own = Vec::with_capacity(self.raw.len() + 16);
            own.extend_from_slice(self.written());
            own.push(byte);
            self.own = Some(own);
        }
    }

    fn push_escaped(&mut self, byte: u8) {
        self.push(b'%');
        for digit in [byte >> 4, byte & 0x0F] {
            self.push(if digit < 10 { b'0' + digit } else { b'A' + digit - 10 });
        }
    }

    fn truncate(&mut self, length: usize) {
        match &mut self.own {
            Some(own) => own.truncate(length),
            None => self.same = self.same.min(length),
        }
    }

    /// Takes the last segment away; what is written ends in `/` before and after.
    fn pop_segment(&mut self) -> Result<(), PathFault> {
        let (_, inner) = self.written().split_last().ok_or(PathFault::AboveRoot)?;
        let slash = inner.iter().rposition(|&byte| byte == b'/').ok_or(PathFault::AboveRoot)?;
        self.truncate(slash + 1);
        Ok(())
    }

    fn finish(self) -> Cow<'a, str> {
        match self.own {
            // Only ASCII is ever pushed, so this never falls back.
            Some(own) => Cow::Owned(String::from_utf8(own).unwrap_or_default()),
            None => Cow::Borrowed(self.raw.get(..self.same).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests;
