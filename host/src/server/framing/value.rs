//! Values that decide framing and authority, byte by byte.

use std::net::Ipv6Addr;

use super::FramingFault;
use super::bytes::label_run;

/// Of how many bytes a body may be, by its length or one chunk's: what a signed 64-bit number holds, because others count in those.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// How many bytes at the beginning are of a value that matters: all of them up to a control character, tabs aside. `take` reads one or more of them.
pub(super) fn taken(bytes: &[u8], mut take: impl FnMut(u8, &[u8]) -> Result<usize, FramingFault>) -> Result<usize, (usize, FramingFault)> {
    let mut read = 0;
    while let Some(rest @ [byte, ..]) = bytes.get(read..) {
        if byte.is_ascii_control() && *byte != b'\t' {
            break;
        }
        read += take(*byte, rest).map_err(|fault| (read, fault))?;
    }
    Ok(read)
}

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
    /// Most bytes of a name in the DNS, and a dot at its end.
    const LONGEST: u8 = 254;

    /// Reads the rest of a label, or one byte; `bytes` is not empty. Says how many.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<usize, FramingFault> {
        if let Self::Name { length, after_dot } = self {
            let run = u8::try_from(label_run(bytes)).unwrap_or(u8::MAX).min(Self::LONGEST - *length);
            if run > 0 {
                *length += run;
                *after_dot = false;
                return Ok(run.into());
            }
        }
        let byte = bytes.first().copied().unwrap_or_default();
        self.push(byte).map(|()| 1)
    }

    pub(super) fn push(&mut self, byte: u8) -> Result<(), FramingFault> {
        *self = match (&mut *self, byte) {
            (Self::Before | Self::After, byte) if is_space(byte) => return Ok(()),
            (Self::Before, b'[') => Self::Address { text: [0; 45], length: 0 },
            (Self::Before, byte) if is_label(byte) => Self::Name { length: 1, after_dot: false },
            // No label is empty, but there may be a dot after the last.
            (Self::Name { length: length @ ..Self::LONGEST, after_dot }, byte) if is_label(byte) || byte == b'.' && !*after_dot => {
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

fn is_label(byte: u8) -> bool {
    label_run(&[byte]) == 1
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
