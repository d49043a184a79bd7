//! Words of HTTP the gateway needs beyond the `http` crate: normal paths, well-known header numbers, which headers a message has
//! and which of them belong to the connection.

pub mod connection_headers;
pub mod gather;
pub mod known;
pub mod path;
pub mod present;
