//! The request target in its four forms (RFC 9112, section 3.2).

use super::FramingFault;
use super::bytes::{Word, target_run, unexpected};
use super::value::HostValue;

/// A target, as far as it was read.
#[derive(Debug, Default)]
pub(super) enum Target {
    #[default]
    Start,
    /// `*`
    Asterisk,
    /// `http://` or `https://`, not yet whole.
    Scheme(Word),
    /// What follows it, or all that `CONNECT` has.
    Authority(HostValue),
    /// A path or query.
    Rest,
}

impl Target {
    /// Reads up to the space after the target. Says how much was read and whether that space was.
    pub(super) fn read(&mut self, bytes: &[u8], method: &[u8]) -> Result<(usize, bool), (usize, FramingFault)> {
        let mut read = 0;
        while let Some(&byte) = bytes.get(read) {
            if matches!(self, Self::Rest) {
                let run = target_run(bytes.get(read..).unwrap_or_default());
                read += run;
                if run > 0 {
                    continue;
                }
            }
            self.push(byte, method).map_err(|fault| (read, fault))?;
            read += 1;
            if byte == b' ' {
                return Ok((read, true));
            }
        }
        Ok((read, false))
    }

    fn push(&mut self, byte: u8, method: &[u8]) -> Result<(), FramingFault> {
        if byte == b' ' {
            return self.end(method);
        }
        if byte == b'\r' {
            // HTTP/0.9 had no version.
            return Err(FramingFault::InvalidRequestLine);
        }
        if target_run(&[byte]) == 0 {
            return Err(unexpected(byte, FramingFault::InvalidTarget));
        }
        match self {
            Self::Start if method == b"CONNECT" => {
                let mut host = HostValue::default();
                host.push(byte)?;
                *self = Self::Authority(host);
            }
            Self::Start if byte == b'/' => *self = Self::Rest,
            Self::Start if byte == b'*' => *self = Self::Asterisk,
            Self::Start => {
                *self = Self::Scheme(Word::default());
                return self.push(byte, method);
            }
            Self::Scheme(word) => {
                word.extend(&[byte.to_ascii_lowercase()]);
                let scheme = word.as_bytes();
                if scheme == b"http://" || scheme == b"https://" {
                    *self = Self::Authority(HostValue::default());
                } else if !b"http://".starts_with(scheme) && !b"https://".starts_with(scheme) {
                    return Err(FramingFault::InvalidTarget);
                }
            }
            Self::Authority(host) if matches!(byte, b'/' | b'?') && method != b"CONNECT" => {
                host.end()?;
                *self = Self::Rest;
            }
            Self::Authority(host) => host.push(byte)?,
            Self::Asterisk => return Err(FramingFault::InvalidTarget),
            Self::Rest => {}
        }
        Ok(())
    }

    fn end(&self, method: &[u8]) -> Result<(), FramingFault> {
        match self {
            Self::Rest => Ok(()),
            Self::Authority(host) => host.end(),
            Self::Asterisk if method == b"OPTIONS" => Ok(()),
            Self::Asterisk | Self::Scheme(_) => Err(FramingFault::InvalidTarget),
            Self::Start => Err(FramingFault::InvalidRequestLine),
        }
    }
}
