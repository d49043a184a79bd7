//! Every default of the configuration, in one place. A test holds `examples/quickstart/plugway.toml` against them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::model::{AccessField, RetryOn, Share};

/// `plugin_directory`: beside the configuration file.
pub const PLUGIN_DIRECTORY: &str = "plugins.d";
/// `keep_versions`: of each plugin, the serving one included.
pub const KEEP_VERSIONS: usize = 5;
/// `[plugins.NAME.canary] max_failures`, parts of a million: how much more of a canary's calls may fail than of the serving version's.
pub const CANARY_MAX_FAILURES: u32 = 10_000;
/// `[plugins.NAME.canary] min_failures`: before as many nothing is decided.
pub const CANARY_MIN_FAILURES: u64 = 5;
/// How often it is looked how canaries do. Not a key.
pub const CANARY_LOOK: Duration = Duration::from_millis(250);
/// Generations alive at once: the one that serves, and earlier ones with requests in flight. Not a key.
pub const LIVE_GENERATIONS: usize = 8;
/// How long nothing may happen to files before they are looked at: what is copied together is looked at together. Not a key.
pub const SETTLE: Duration = Duration::from_millis(250);
/// How long a file is waited for that somebody is writing, or that is not whole, after the last change to it. Not a key.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// `[admin] address`: this machine only.
pub const ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9901);

/// `[listen.NAME.tls] http2`.
pub const LISTENER_HTTP2: bool = true;

/// `[trust] require_signature`: whether plugin files must be signed.
pub const REQUIRE_SIGNATURE: bool = false;

/// `[plugins.NAME.budget] cpu`: CPU time of one hook call on a worker.
pub const PLUGIN_CPU: Duration = Duration::from_millis(10);
/// `[plugins.NAME.budget] failed_cpu`: CPU time of calls that fail, on one worker within ten seconds: 4 % of it, and with one more call
/// less than 5 %.
pub const PLUGIN_FAILED_CPU: Duration = Duration::from_millis(400);
/// CPU time up to which a call runs in one go, where the worker stands. Past it calls run in turns, with a stack of their own. Not a key.
pub const PLUGIN_CPU_IN_PLACE: Duration = Duration::from_millis(10);
/// `[plugins.NAME.budget] setup_cpu`: CPU time of one call off the request's path.
pub const PLUGIN_SETUP_CPU: Duration = Duration::from_secs(2);
/// `[plugins.NAME.budget] memory`: bytes of one instance.
pub const PLUGIN_MEMORY: usize = 32 << 20;
/// The most it can be: every slot for an instance is made for it.
pub const MOST_PLUGIN_MEMORY: usize = 512 << 20;
/// Compiling one component in a process of its own, wall time: a hundred times what the largest known one takes. Not a key.
pub const PLUGIN_COMPILE: Duration = Duration::from_secs(300);
/// Bytes of compiled plugins kept in `cache_directory`: a thousand in Rust, twenty in Python. Not a key.
pub const MOST_CACHED: u64 = 1 << 30;
/// `[plugins.NAME.budget] max_headers`: headers added to one message.
pub const PLUGIN_MAX_HEADERS: usize = 64;
/// `[plugins.NAME.budget] max_header_bytes`: bytes of those headers.
pub const PLUGIN_MAX_HEADER_BYTES: usize = 32 << 10;
/// `[plugins.NAME.budget] max_local_body_bytes`: bytes of a local answer's body.
pub const PLUGIN_MAX_LOCAL_BODY_BYTES: usize = 1 << 20;
/// `[plugins.NAME.budget] max_attribute_bytes`: bytes of one request's attributes and identity claims.
pub const PLUGIN_MAX_ATTRIBUTE_BYTES: usize = 16 << 10;
/// `[plugins.NAME.budget] log_lines_per_second`: lines a second of one version, over all workers.
pub const PLUGIN_LOG_LINES_PER_SECOND: u32 = 100;
/// `[plugins.NAME.budget] max_series`: metric series.
pub const PLUGIN_MAX_SERIES: usize = 1_000;
/// `[plugins.NAME.budget] instances`: of a plugin whose calls overlap, on one worker.
pub const PLUGIN_INSTANCES: usize = 512;
/// `[plugins.NAME.budget] deadline`: time on the clock for one call that waits, the wait for an instance included.
pub const PLUGIN_DEADLINE: Duration = Duration::from_secs(5);
/// `[plugins.NAME.grants.rate-limit] max_keys`: buckets kept at once.
pub const RATE_LIMIT_MAX_KEYS: usize = 65_536;
/// `[plugins.NAME.grants.crypto] max_signatures`: good ones that are remembered.
pub const CRYPTO_MAX_SIGNATURES: usize = 8_192;
/// `[plugins.NAME.grants.kv] max_entries`: entries kept at once.
pub const KV_MAX_ENTRIES: usize = 10_000;
/// `[plugins.NAME.grants.kv] max_bytes`: keys, values, and 128 bytes for each entry.
pub const KV_MAX_BYTES: usize = 16 << 20;
/// `[plugins.NAME.grants.http-client] timeout`: one request, redirects included.
pub const HTTP_CLIENT_TIMEOUT: Duration = Duration::from_secs(3);
/// `[plugins.NAME.grants.http-client] max_body_bytes`: body of an answer.
pub const HTTP_CLIENT_MAX_BODY_BYTES: usize = 1 << 20;
/// `[plugins.NAME.grants.http-client] max_redirects`: followed by one request.
pub const HTTP_CLIENT_MAX_REDIRECTS: u32 = 3;
/// `[plugins.NAME.grants.http-client] max_in_flight`: requests at once, all workers together.
pub const HTTP_CLIENT_MAX_IN_FLIGHT: usize = 1024;
/// `[plugins.NAME.grants.http-client] max_cache_bytes`: answers kept.
pub const HTTP_CLIENT_MAX_CACHE_BYTES: usize = 16 << 20;

/// Weight of an endpoint, 1 to 65535.
pub const ENDPOINT_WEIGHT: u16 = 1;
/// `[upstreams.NAME.timeouts] connect`: connecting, TLS included.
pub const UPSTREAM_CONNECT: Duration = Duration::from_secs(5);
/// `[upstreams.NAME.timeouts] response`: from sending the request, the last of its body that the upstream took, to the complete response head.
pub const UPSTREAM_RESPONSE: Duration = Duration::from_secs(60);
/// `[upstreams.NAME.timeouts] stream`: longest pause while a body is streamed either way.
pub const UPSTREAM_STREAM: Duration = Duration::from_secs(60);
/// `[upstreams.NAME.timeouts] idle`: how long an unused connection is kept.
pub const UPSTREAM_IDLE: Duration = Duration::from_secs(60);
/// `[upstreams.NAME] max_idle_connections`: per endpoint, all workers together. Where more requests than this come at once, again and again, each time
/// connections are made for the others.
pub const UPSTREAM_MAX_IDLE_CONNECTIONS: usize = 1_024;
/// `[upstreams.NAME] max_connections`: per endpoint, all workers together.
pub const UPSTREAM_MAX_CONNECTIONS: usize = 16_384;
/// `[upstreams.NAME] max_attempts`: the first included.
pub const UPSTREAM_MAX_ATTEMPTS: u32 = 2;
/// `[upstreams.NAME] retry_on`
pub const UPSTREAM_RETRY_ON: RetryOn = RetryOn::DEFAULT;

/// `[routes.slo] window`, days.
pub const SLO_DAYS: u32 = 30;

/// `[limits] max_connections`: of clients, all workers together.
pub const MAX_CONNECTIONS: usize = 65_536;
/// `[limits] max_head_bytes`: bytes of a request head.
pub const MAX_HEAD_BYTES: usize = 64 << 10;
/// `[limits] max_headers`: header lines of a request.
pub const MAX_HEADERS: usize = 100;
/// `[limits] max_concurrent_streams`: requests at once on one HTTP/2 connection.
pub const MAX_CONCURRENT_STREAMS: u32 = 128;
/// `[limits] max_requests_in_flight`: requests being answered at once.
pub const MAX_REQUESTS_IN_FLIGHT: usize = 65_536;
/// Largest file of a plugin, bytes: ten times what a Python interpreter is compiled to.
pub const LARGEST_PLUGIN_FILE: u64 = 256 << 20;
/// `[limits] max_plugin_instances`: of all plugins on all workers, those being made included.
pub const MAX_PLUGIN_INSTANCES: u32 = 4096;

/// `[timeouts] handshake`: TLS handshake with a client.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// `[timeouts] head`: from the first byte of a head to its end.
pub const HEAD: Duration = Duration::from_secs(15);
/// `[timeouts] idle`: waiting for the next request on a kept connection.
pub const IDLE: Duration = Duration::from_secs(60);
/// `[timeouts] stream`: longest pause while a body is streamed either way.
pub const STREAM: Duration = Duration::from_secs(60);
/// `[timeouts] drain`: for requests in flight after Ctrl-C or SIGTERM.
pub const DRAIN: Duration = Duration::from_secs(30);

/// `[store] enabled`.
pub const STORE_ENABLED: bool = true;
/// `[store] file`: in the state directory.
pub const STORE_FILE: &str = "monitoring.db";
/// `[store] max_size`: bytes; what a year of 200 routes with 10 endpoints and 20 consumers each takes.
pub const STORE_MAX_SIZE: usize = 2 << 30;
/// `[store.keep] minutes`: the same hour of the day before has minutes too.
pub const STORE_MINUTES: Duration = Duration::from_secs(24 * 60 * 60);
/// `[store.keep] hours`: four weeks, to compare a weekday with the ones before.
pub const STORE_HOURS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// `[store.keep] days`: a year.
pub const STORE_DAYS: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// `[store.keep] samples`: slow and failed requests in detail.
pub const STORE_SAMPLES: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// `[log] level`.
pub const LOG_LEVEL: tracing::Level = tracing::Level::INFO;

/// `[tracing] sample`: of the requests whose caller has not decided.
pub const TRACING_SAMPLE: Share = Share(10_000);
/// `[tracing] max_per_second`: requests sampled, for all workers together.
pub const TRACING_MAX_PER_SECOND: u32 = 100;
/// `[tracing] slow`: what `plugway why` can tell of though nothing failed.
pub const TRACING_SLOW: Duration = Duration::from_secs(1);
/// `[otlp] metrics_interval`: OpenTelemetry's own default.
pub const OTLP_METRICS_INTERVAL: Duration = Duration::from_secs(60);
/// `[otlp] timeout`: for one answer; OpenTelemetry's own default.
pub const OTLP_TIMEOUT: Duration = Duration::from_secs(10);
/// `[otlp] max_queued`: sampled requests that wait to be sent.
pub const OTLP_MAX_QUEUED: usize = 2048;

/// `[access_log] slow`: what always has a line.
pub const ACCESS_LOG_SLOW: Duration = Duration::from_secs(1);
/// `[access_log] fields`: every fact of a request that holds no secret and is not said elsewhere.
pub const ACCESS_LOG_FIELDS: [AccessField; 20] = [
    AccessField::Method,
    AccessField::Host,
    AccessField::Path,
    AccessField::Status,
    AccessField::DurationUs,
    AccessField::UpstreamUs,
    AccessField::Route,
    AccessField::Api,
    AccessField::Version,
    AccessField::Endpoint,
    AccessField::Attempts,
    AccessField::Client,
    AccessField::Consumer,
    AccessField::RequestBytes,
    AccessField::ResponseBytes,
    AccessField::Fault,
    AccessField::Blame,
    AccessField::Protocol,
    AccessField::RequestId,
    AccessField::TraceId,
];
