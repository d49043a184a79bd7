//! The gateway as a whole: the real program, real sockets, real TLS, real components.

mod common;
mod layers;
mod proxy;
