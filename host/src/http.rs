//! Words of HTTP the gateway needs beyond the `http` crate: normal paths, well-known header numbers, which headers a message has
//! and which of them belong to the connection.

pub mod connection_headers;
pub mod gather;
pub mod known;
pub mod path;
pub mod present;

/// Most that is read at once from an HTTP/1.1 connection, and of a body that is held back while the other side reads slowly, bytes.
///
/// A body of 64 KiB and its head are one read and one write; a buffer begins with 8 KiB and grows as reads fill it (docs/adr/0043-buffers.md).
pub const MAX_BUFFER: usize = 128 << 10;
