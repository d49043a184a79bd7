//! The gateway as a whole: the real program, real sockets, real TLS, real components.

mod admin;
mod budgets;
mod builtins;
mod bodies;
mod common;
mod contract;
mod guest;
mod drain;
mod forwarded;
mod layers;
mod limits;
mod misbehaving;
mod proxy;
mod smuggling;
mod tls;
mod upstream_tls;
