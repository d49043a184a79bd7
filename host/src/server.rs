//! Servers: sockets, TLS, the bytes of a client connection before and after hyper, workers, and the admin listener.

mod accept;
pub mod admin;
mod connection;
pub mod framing;
mod http1;
mod listener;
mod pace;
mod socket;
mod stream;
mod sweep;
pub mod tls;
mod worker;

pub use listener::Sockets;
pub use worker::{Command, Next, Start, WorkerHandle, WorkerListener, start};
