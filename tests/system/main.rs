//! The gateway as a whole: the real program, real sockets, real TLS, real components.

mod admin;
mod bodies;
mod budgets;
mod builtins;
mod common;
mod contract;
mod drain;
mod forwarded;
mod guest;
mod layers;
mod limits;
mod misbehaving;
mod proxy;
mod smuggling;
mod thread_time;
mod threads;
mod tls;
mod toolchains;
mod upstream_tls;
