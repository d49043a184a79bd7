//! plugway: an API gateway that is programmed with WebAssembly components.
//!
//! The modules stand in rows; each imports only from rows below its own, and a test proves it.
//!
//! | row | modules |
//! |---|---|
//! | 0 words | [`allocator`], [`config`], [`fault`], [`http`], [`exchange`], [`places`], [`problem`], [`telemetry`], [`trace`], `tls_files` |
//! | 1 mechanisms | [`route`], [`upstream`], [`capability`], [`watch`], [`store`] |
//! | 2 calls out, reports | [`http_client`], [`otlp`], [`report`] |
//! | 3 plugins, incidents | [`plugin`], [`incidents`] |
//! | 4 chains | [`pipeline`] |
//! | 5 requests | [`proxy`] |
//! | 6 servers | [`server`] |
//! | 7 assembly | [`assembly`], [`gateway`] |

pub mod allocator;
pub mod assembly;
pub mod capability;
pub mod config;
pub mod exchange;
pub mod fault;
pub mod gateway;
pub mod http;
pub mod http_client;
pub mod incidents;
pub mod otlp;
pub mod pipeline;
pub mod places;
pub mod plugin;
pub mod problem;
pub mod proxy;
pub mod report;
pub mod route;
pub mod server;
pub mod store;
pub mod telemetry;
mod tls_files;
pub mod trace;
pub mod upstream;
pub mod watch;
