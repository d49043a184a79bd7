//! Values that decide framing and authority, byte by byte.

use std::net::Ipv6Addr;

use super::FramingFault;

/// Of how many bytes a body may be, by its length or one chunk's: what a signed 64-bit number holds, because others count in those.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// A number that grows digit by digit; `None` beyond [`MAX_LENGTH`].
pub(super) fn append_digit(value: u64, base: u64, digit: u32) -> Option<u64> {
    let value = value.checked_mul(base)?.checked_add(u64::from(digit))?;
    (value <= MAX_LENGTH).then_some(value)
}

/// `Content-Length` (RFC 9110, section 8.6): `1*DIGIT`. No sign, no list.
#[derive(Debug, Default)]
pub(super) struct LengthValue {
    value: Option<u64>,
    ended: bool,
}

impl LengthValue {
    pub(super) fn push(&mut self, byte: u8) -> Result<(), FramingFault> {
        if is_space(byte) {
            self.ended = self.value.is_some();
            return Ok(());
        }
        let digit = char::from(byte).to_digit(10).filter(|_| !self.ended);
        let value = digit.and_then(|digit| append_digit(self.value.unwrap_or(0), 10, digit));
        self.value = Some(value.ok_or(FramingFault::InvalidContentLength)?);
        Ok(())
    }

    pub(super) fn end(&self) -> Result<u64, FramingFault> {
        self.value.ok_or(FramingFault::InvalidContentLength)
    }
}

/// `Transfer-Encoding` (RFC 9112, section 6.1): `chunked` and nothing else.
#[derive(Debug, Default)]
pub(super) struct CodingValue {
    matched: usize,
    ended: bool,
}

impl CodingValue {
    const CODING: &'static [u8] = b"chunked";

    pub(super) fn push(&mut self, byte: u8) -> Result<(), FramingFault> {
        if is_space(byte) {
            self.ended = self.matched > 0;
        } else if !self.ended && Self::CODING.get(self.matched) == Some(&byte.to_ascii_lowercase()) {
            self.matched += 1;
        } else {
            return Err(FramingFault::InvalidTransferEncoding);
        }
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), FramingFault> {
        if self.matched == Self::CODING.len() { Ok(()) } else { Err(FramingFault::InvalidTransferEncoding) }
    }
}

/// `Host` (RFC 9110, section 7.2), or the authority of an absolute-form target: a name or `[IPv6]`, perhaps a port.
#[derive(Debug, Default)]
pub(super) enum HostValue {
    #[default]
    Before,
    Name {
        length: u8,
        after_dot: bool,
    },
    Address {
        text: [u8; 45],
        length: usize,
    },
    AfterAddress,
    Port(Option<u16>),
    After,
}

impl HostValue {
    pub(super) fn push(&mut self, byte: u8) -> Result<(), FramingFault> {
        *self = match (&mut *self, byte) {
            (Self::Before | Self::After, byte) if is_space(byte) => return Ok(()),
            (Self::Before, b'[') => Self::Address { text: [0; 45], length: 0 },
            (Self::Before, byte) if is_host(byte) => Self::Name { length: 1, after_dot: false },
            // A name in the DNS has at most 253 bytes and no empty label, but perhaps a dot at its end.
            (Self::Name { length: length @ ..254, after_dot }, byte) if is_host(byte) || byte == b'.' && !*after_dot => {
                *length += 1;
                *after_dot = byte == b'.';
                return Ok(());
            }
            (Self::Address { text, length }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b':' | b'.') => {
                *text.get_mut(*length).ok_or(FramingFault::InvalidHost)? = byte;
                *length += 1;
                return Ok(());
            }
            (Self::Address { text, length }, b']') => {
                let text = text.get(..*length).and_then(|text| std::str::from_utf8(text).ok());
                text.and_then(|text| text.parse::<Ipv6Addr>().ok()).ok_or(FramingFault::InvalidHost)?;
                Self::AfterAddress
            }
            (Self::Name { .. } | Self::AfterAddress, b':') => Self::Port(None),
            (Self::Port(port), b'0'..=b'9') => {
                let port = port.unwrap_or(0).checked_mul(10).and_then(|port| port.checked_add(u16::from(byte - b'0')));
                Self::Port(Some(port.ok_or(FramingFault::InvalidHost)?))
            }
            (Self::Name { .. } | Self::AfterAddress | Self::Port(Some(_)), byte) if is_space(byte) => Self::After,
            _ => return Err(FramingFault::InvalidHost),
        };
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), FramingFault> {
        match self {
            Self::Name { .. } | Self::AfterAddress | Self::Port(Some(_)) | Self::After => Ok(()),
            Self::Before | Self::Address { .. } | Self::Port(None) => Err(FramingFault::InvalidHost),
        }
    }
}

/// `_` is in no host name, but in names people give to machines.
fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
