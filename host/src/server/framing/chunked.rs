//! A chunked body up to its last chunk (RFC 9112, section 7.1).

use super::FramingFault;
use super::bytes::unexpected;
use super::value::append_digit;

/// Bytes of extensions on one chunk. Nobody uses them, and hyper bounds only their sum.
const MAX_EXTENSION: usize = 256;

/// Sixteen digits are as many as a 64-bit number has; more are zeros in front.
const MAX_SIZE_DIGITS: u8 = 16;

/// Where in a chunked body the next byte stands.
#[derive(Debug)]
pub(super) enum Chunked {
    Size { value: u64, digits: u8 },
    Extension { size: u64, length: usize },
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
}

/// What has been read to its end.
#[derive(Debug)]
pub(super) enum ChunkEvent {
    /// The head of the chunk of size 0; trailers follow.
    Last,
}

impl Default for Chunked {
    fn default() -> Self {
        Self::Size { value: 0, digits: 0 }
    }
}

impl Chunked {
    /// Reads on, at most to the end of the last chunk's head.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, Option<ChunkEvent>), (usize, FramingFault)> {
        let mut read = 0;
        while let Some(&byte) = bytes.get(read) {
            if let Self::Data(left) = self {
                let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - read);
                read += skipped;
                *left -= skipped as u64;
                if *left == 0 {
                    *self = Self::DataCr;
                }
                continue;
            }
            let last = matches!(self, Self::SizeLf(0));
            self.push(byte).map_err(|fault| (read, fault))?;
            read += 1;
            if last {
                return Ok((read, Some(ChunkEvent::Last)));
            }
        }
        Ok((read, None))
    }

    fn push(&mut self, byte: u8) -> Result<(), FramingFault> {
        *self = match *self {
            Self::Size { value, digits } => match (byte, char::from(byte).to_digit(16)) {
                (_, Some(digit)) if digits < MAX_SIZE_DIGITS => {
                    let value = append_digit(value, 16, digit).ok_or(FramingFault::InvalidChunkSize)?;
                    Self::Size { value, digits: digits + 1 }
                }
                (b'\r', _) if digits > 0 => Self::SizeLf(value),
                (b';', _) if digits > 0 => Self::Extension { size: value, length: 1 },
                _ => return Err(unexpected(byte, FramingFault::InvalidChunkSize)),
            },
            Self::Extension { size, length } => match byte {
                b'\r' => Self::SizeLf(size),
                _ if length == MAX_EXTENSION => return Err(FramingFault::ChunkExtensionTooLong),
                b'\t' | b' '..=b'~' => Self::Extension { size, length: length + 1 },
                _ => return Err(unexpected(byte, FramingFault::InvalidChunkExtension)),
            },
            Self::SizeLf(size) if byte == b'\n' => Self::Data(size),
            Self::SizeLf(_) => return Err(FramingFault::BareCr),
            Self::DataCr if byte == b'\r' => Self::DataLf,
            Self::DataLf if byte == b'\n' => Self::default(),
            Self::DataCr | Self::DataLf => return Err(FramingFault::InvalidChunkEnd),
            // Skipped by `read`.
            Self::Data(left) => Self::Data(left),
        };
        Ok(())
    }
}
