use std::fmt;

use crate::fault::Fault;

/// What is wrong with the bytes of a connection. All of them end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FramingFault {
    /// More than one empty line before a request line (RFC 9112, section 2.2).
    EmptyLines,
    /// A LF that no CR precedes (RFC 9112, section 2.2).
    BareLf,
    /// A CR that no LF follows (RFC 9112, section 2.2).
    BareCr,
    /// NUL or another control character (RFC 9110, section 5.5).
    Control,
    /// Not `method SP target SP version CRLF` with single spaces (RFC 9112, section 3).
    InvalidRequestLine,
    /// A target that has none of the four forms, a fragment, or a byte above 0x7F (RFC 9112, section 3.2).
    InvalidTarget,
    /// Neither HTTP/1.0 nor HTTP/1.1 (RFC 9112, section 2.3).
    UnsupportedVersion,
    /// A header line that begins with white space (RFC 9112, sections 2.2 and 5.2).
    ObsoleteFold,
    /// White space between a header's name and its colon (RFC 9112, section 5.1).
    SpaceBeforeColon,
    /// A header name that is no token, or a line without a colon (RFC 9112, section 5.1).
    InvalidHeaderName,
    /// Not one plain decimal number below 2^63 (RFC 9110, section 8.6).
    InvalidContentLength,
    /// Two lengths, even equal ones (RFC 9112, section 6.3).
    RepeatedContentLength,
    /// A length beside a transfer coding (RFC 9112, section 6.1).
    LengthWithTransferEncoding,
    /// A transfer coding that is not exactly `chunked` (RFC 9112, section 6.1).
    InvalidTransferEncoding,
    /// Two transfer codings (RFC 9112, section 6.1).
    RepeatedTransferEncoding,
    /// A transfer coding in HTTP/1.0 (RFC 9112, section 6.1).
    TransferEncodingInHttp10,
    /// HTTP/1.1 without a host (RFC 9112, section 3.2).
    MissingHost,
    /// Two hosts, even equal ones (RFC 9112, section 3.2).
    RepeatedHost,
    /// A host that is no `name` or `[IPv6]` with an optional port (RFC 9110, sections 4.2 and 7.2), in `Host` or in the
    /// target. Stricter than RFC 3986: no `%`, no `,` or other sub-delimiters, no user information, no empty port.
    InvalidHost,
    /// More bytes than [`Limits::head_bytes`](super::Limits::head_bytes) (RFC 9110, section 5.4).
    HeadTooLarge,
    /// More lines than [`Limits::headers`](super::Limits::headers) (RFC 9110, section 5.4).
    TooManyHeaders,
    /// A chunk size that is no plain hexadecimal number below 2^63 (RFC 9112, section 7.1).
    InvalidChunkSize,
    /// A control character or a byte above 0x7F in a chunk extension (RFC 9112, section 7.1.1).
    InvalidChunkExtension,
    /// More than 256 bytes of extensions on one chunk (RFC 9112, section 7.1.1).
    ChunkExtensionTooLong,
    /// Chunk data that no CRLF follows (RFC 9112, section 7.1).
    InvalidChunkEnd,
    /// `Content-Length`, `Transfer-Encoding` or `Host` after the body (RFC 9110, section 6.5.1).
    FramingTrailer,
    /// A trailer section over a limit (RFC 9112, section 7.1.2).
    TrailersTooLarge,
}

impl FramingFault {
    /// The row of the fault table it is answered with.
    pub fn fault(self) -> Fault {
        match self {
            Self::MissingHost | Self::RepeatedHost | Self::InvalidHost => Fault::InvalidAuthority,
            Self::Control
            | Self::InvalidRequestLine
            | Self::InvalidTarget
            | Self::UnsupportedVersion
            | Self::InvalidHeaderName
            | Self::TrailersTooLarge => Fault::MalformedRequest,
            Self::HeadTooLarge | Self::TooManyHeaders => Fault::HeadTooLarge,
            Self::EmptyLines
            | Self::BareLf
            | Self::BareCr
            | Self::ObsoleteFold
            | Self::SpaceBeforeColon
            | Self::InvalidContentLength
            | Self::RepeatedContentLength
            | Self::LengthWithTransferEncoding
            | Self::InvalidTransferEncoding
            | Self::RepeatedTransferEncoding
            | Self::TransferEncodingInHttp10
            | Self::InvalidChunkSize
            | Self::InvalidChunkExtension
            | Self::ChunkExtensionTooLong
            | Self::InvalidChunkEnd
            | Self::FramingTrailer => Fault::AmbiguousFraming,
        }
    }
}

impl fmt::Display for FramingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyLines => "more than one empty line before a request",
            Self::BareLf => "a LF without CR",
            Self::BareCr => "a CR without LF",
            Self::Control => "a control character",
            Self::InvalidRequestLine => "an invalid request line",
            Self::InvalidTarget => "an invalid request target",
            Self::UnsupportedVersion => "a version that is neither HTTP/1.0 nor HTTP/1.1",
            Self::ObsoleteFold => "a header line that begins with white space",
            Self::SpaceBeforeColon => "white space before the colon of a header",
            Self::InvalidHeaderName => "an invalid header name",
            Self::InvalidContentLength => "an invalid Content-Length",
            Self::RepeatedContentLength => "two Content-Length headers",
            Self::LengthWithTransferEncoding => "Content-Length beside Transfer-Encoding",
            Self::InvalidTransferEncoding => "a Transfer-Encoding that is not `chunked`",
            Self::RepeatedTransferEncoding => "two Transfer-Encoding headers",
            Self::TransferEncodingInHttp10 => "a Transfer-Encoding in HTTP/1.0",
            Self::MissingHost => "no Host",
            Self::RepeatedHost => "two Host headers",
            Self::InvalidHost => "an invalid host",
            Self::HeadTooLarge => "a head over the limit of bytes",
            Self::TooManyHeaders => "a head over the limit of header lines",
            Self::InvalidChunkSize => "an invalid chunk size",
            Self::InvalidChunkExtension => "an invalid chunk extension",
            Self::ChunkExtensionTooLong => "a chunk extension over 256 bytes",
            Self::InvalidChunkEnd => "a chunk without CRLF at its end",
            Self::FramingTrailer => "a trailer that belongs into the head",
            Self::TrailersTooLarge => "a trailer section over a limit",
        })
    }
}

impl std::error::Error for FramingFault {}
