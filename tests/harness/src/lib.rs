//! What plugway's whole-system tests, its demo and its bench share: real peers on loopback, each bounded in time and ended
//! with its owner.
//!
//! | module | what it gives |
//! |---|---|
//! | [`browser`] | Debian's Chromium |
//! | [`ca`] | throw-away certificate authorities, server and client certificates, PEM files |
//! | [`upstream`] | real HTTP/1.1 and HTTP/2 servers that report what reached them |
//! | [`client`] | an HTTP client with every TLS and routing detail in the caller's hand |
//! | [`raw`] | bytes on a socket, for requests that no client library would send |
//! | [`gateway`] | the `plugway` program, its addresses, log lines and use of the machine |
//! | [`guests`] | components built from this checkout |
//! | [`instructions`] | instructions of a request, counted by valgrind |
//! | [`node`], [`oidc`], [`oauth_client`] | peers that run in Node; a real authorization server, and a client |
//! | [`otlp`] | a receiver of OpenTelemetry's protocol that decodes for real |
//! | [`nginx`], [`peers`] | Debian's nginx and wrk, as the programs to compare with |
//! | [`terminal`] | a terminal for a program that people look at |
//! | [`prometheus`] | Debian's Prometheus, which scrapes the gateway |
//!
//! Nothing here knows how the gateway works inside: only its command line, its configuration, its sockets and its log.

pub mod body;
pub mod browser;
pub mod ca;
pub mod client;
pub mod error;
pub mod gateway;
pub mod guests;
pub mod instructions;
pub mod nginx;
pub mod node;
pub mod oauth_client;
pub mod oidc;
pub mod otlp;
pub mod peers;
pub mod process;
pub mod prometheus;
pub mod raw;
pub mod temp;
pub mod terminal;
pub mod tls;
pub mod upstream;

pub use error::{Error, Result};
