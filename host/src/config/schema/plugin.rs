//! `[plugins.NAME]` and the places that name a plugin, as written.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{List, Size, Span};

/// A plugin's own table. `{ file = "PATH" }` anywhere in it stands for the text of that file.
pub(in crate::config) type Table = Map<String, Value>;

/// A plugin: one WebAssembly component.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Plugin {
    /// `builtin:NAME` for a shipped plugin, or a file in `plugin_directory`.
    #[schemars(required, example = &"builtin:oauth2")]
    pub(in crate::config) source: Option<String>,
    /// Capabilities it may use besides those every plugin has. Default: none.
    pub(in crate::config) grants: Option<Grants>,
    /// Its own table, given to it as JSON. `{ file = "PATH" }` anywhere in it stands for the text of that file. Default: empty.
    pub(in crate::config) config: Option<Table>,
    /// Whether its file must be signed by a key of `[trust]`; a built-in needs no signature. Default: that of `[trust]`.
    pub(in crate::config) require_signature: Option<bool>,
    /// What shares an instance of it: `"worker"`, all requests of one worker; `"request"`, nothing, each call of a hook has a fresh
    /// one. Default: `"worker"`.
    pub(in crate::config) isolation: Option<Isolation>,
    /// What one call and one instance of it may use.
    pub(in crate::config) budget: Option<Budget>,
    /// What happens to a request when it fails: `"reject"` answers it with a 5xx, `"skip"` goes on without. Default: `"reject"`.
    pub(in crate::config) on_failure: Option<FailurePolicy>,
    /// Whom a new version of its file serves at first: a share of the clients such as `"5%"`; nobody with `"shadow"`, which has it
    /// called beside the one that serves and compared; or a table. Default: everybody, at once.
    #[schemars(example = &"5%")]
    pub(in crate::config) canary: Option<Canary>,
}

/// How a new version of a plugin's file begins: its share, or a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Canary {
    /// `"5%"`, `"shadow"`
    Share(String),
    /// `{ share = "5%", max_failures = "1%" }`
    Table(CanaryTable),
}

/// How a new version of a plugin's file begins, and what ends that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CanaryTable {
    /// `"0.0001%"` to `"99.9999%"` of the clients, or `"shadow"`.
    #[schemars(example = &"5%")]
    pub(in crate::config) share: String,
    /// How much more of its calls may fail than of the serving version's in the same time, before it is taken back.
    /// Default: `"1%"`.
    #[schemars(example = &"1%")]
    pub(in crate::config) max_failures: Option<String>,
    /// Failures before which nothing is decided. Default: 5.
    #[schemars(range(min = 1))]
    pub(in crate::config) min_failures: Option<u64>,
    /// After how long it serves everybody if it was not taken back. Default: never by itself.
    pub(in crate::config) promote_after: Option<Span>,
}

/// What tells clients apart. A client without any of it counts by its address.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CanaryBy {
    /// The value of this header.
    #[schemars(example = &"x-user")]
    pub(in crate::config) header: Option<String>,
    /// The value of this cookie, where there is no such header.
    #[schemars(example = &"session")]
    pub(in crate::config) cookie: Option<String>,
}

/// Capabilities that are denied unless named.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Grants {
    /// Digests, HMAC and signature verification: `crypto = {}`.
    pub(in crate::config) crypto: Option<CryptoGrant>,
    /// Keys and values in the gateway's memory, shared by all workers: `kv = {}`.
    pub(in crate::config) kv: Option<KvGrant>,
    /// Token buckets that are exact across workers: `rate-limit = {}`.
    #[serde(rename = "rate-limit")]
    pub(in crate::config) rate_limit: Option<RateLimitGrant>,
    /// Names of `[secrets.NAME]` that it may read. Default: none.
    #[schemars(example = vec!["api-key"])]
    pub(in crate::config) secrets: Option<List<String>>,
    /// Names of `[secrets.NAME]` that it may sign and seal with, and not read. Default: none.
    #[schemars(example = vec!["client-key"])]
    pub(in crate::config) keys: Option<List<String>>,
    /// Requests to other servers: `http-client = { hosts = ["id.example.com"] }`.
    #[serde(rename = "http-client")]
    pub(in crate::config) http_client: Option<HttpClientGrant>,
}

/// `http-client = { hosts = ["id.example.com"], upstreams = ["id"] }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HttpClientGrant {
    /// Where requests may go: a host, or `*.` and a domain for everything below it. Over TLS, or over plain HTTP where it is written
    /// with `http://`; to the scheme's port, or the one written behind it. Default: none.
    #[schemars(example = vec!["id.example.com", "*.example.com:8443"])]
    pub(in crate::config) hosts: Option<List<String>>,
    /// Names of `[upstreams.NAME]` whose endpoints requests may go to as well, by their URLs and with that upstream's TLS settings,
    /// client certificate included. Default: none.
    #[schemars(example = vec!["id"])]
    pub(in crate::config) upstreams: Option<List<String>>,
    /// Networks that `hosts` may have addresses in though they are private, loopback, link-local or otherwise special. Default: none.
    #[schemars(example = vec!["10.0.0.0/8"])]
    pub(in crate::config) addresses: Option<List<String>>,
    /// Time for one request, redirects included. Default: `3s`.
    pub(in crate::config) timeout: Option<Span>,
    /// Bytes of the body of one answer, up to 64MiB. Default: `1MiB`.
    pub(in crate::config) max_body_bytes: Option<Size>,
    /// Redirects one request may follow. Default: 3.
    #[schemars(range(max = 20))]
    pub(in crate::config) max_redirects: Option<u32>,
    /// Requests at once, for all workers together. Default: 1024.
    #[schemars(range(min = 1, max = 65_536))]
    pub(in crate::config) max_in_flight: Option<u64>,
    /// Bytes of answers kept for later requests. Default: `16MiB`.
    pub(in crate::config) max_cache_bytes: Option<Size>,
}

/// `crypto = { max_signatures = 8192 }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CryptoGrant {
    /// Signatures that were found good and are remembered for all workers, 2 KiB each on average at most; 0 for none. Default: 8192.
    #[schemars(range(max = 1_048_576))]
    pub(in crate::config) max_signatures: Option<u64>,
}

/// `kv = { scope = "node", max_entries = 10000, max_bytes = "16MiB" }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct KvGrant {
    /// Who shares the entries: `"node"`, which is this gateway. Default: "node".
    pub(in crate::config) scope: Option<KvScope>,
    /// Entries kept at once. Default: 10000.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(in crate::config) max_entries: Option<u64>,
    /// Bytes of keys and values, and 128 for each entry: 1MiB to 64GiB. Default: "16MiB".
    pub(in crate::config) max_bytes: Option<Size>,
}

/// Who shares the entries of `kv`: all workers of this gateway.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum KvScope {
    Node,
}

/// `rate-limit = { max_keys = 65536 }`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RateLimitGrant {
    /// Buckets kept at once, about 130 bytes each. Default: 65536.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub(in crate::config) max_keys: Option<u64>,
}

/// Where a secret is: in a file, or in a variable of the environment.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Secret {
    /// A file of up to 64 KiB. The line break at the end of a text is no part of it.
    #[schemars(example = &"secrets/api-key")]
    pub(in crate::config) file: Option<String>,
    /// A variable of the environment.
    #[schemars(example = &"API_KEY")]
    pub(in crate::config) env: Option<String>,
}

/// What one call and one instance of a plugin may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Budget {
    /// CPU time of one call for a request. Default: `10ms`.
    pub(in crate::config) cpu: Option<Span>,
    /// CPU time that calls which fail may use within ten seconds, on one worker, the instances that replace theirs included; after
    /// that the plugin is left alone. Default: `400ms`.
    pub(in crate::config) failed_cpu: Option<Span>,
    /// CPU time of one call off a request's path, such as its configuration. Default: `2s`.
    pub(in crate::config) setup_cpu: Option<Span>,
    /// Memory of one instance. Default: `32MiB`.
    pub(in crate::config) memory: Option<Size>,
    /// Instances on one worker, for a plugin whose calls overlap; one in four is kept for calls that need not wait. Default: 512.
    #[schemars(range(min = 1, max = 1024))]
    pub(in crate::config) instances: Option<u64>,
    /// Time on the clock for one call that waits, the wait for an instance included. Default: `5s`.
    pub(in crate::config) deadline: Option<Span>,
    /// Headers it may add to one message. Default: 64.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_headers: Option<u64>,
    /// Bytes of names and values of those headers. Default: `32KiB`.
    pub(in crate::config) max_header_bytes: Option<Size>,
    /// Bytes of the body of an answer of its own. Default: `1MiB`.
    pub(in crate::config) max_local_body_bytes: Option<Size>,
    /// Bytes of attributes and identity claims of one request. Default: `16KiB`.
    pub(in crate::config) max_attribute_bytes: Option<Size>,
    /// Log lines a second of one version, over all workers. Default: 100.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub(in crate::config) log_lines_per_second: Option<u32>,
    /// Metric series. Default: 1000.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_series: Option<u64>,
}

/// What shares an instance. `"worker"`: all requests of one worker. `"request"`: nothing; refused for routers.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Isolation {
    Worker,
    Request,
}

/// What a failing plugin does to its request. `"reject"`: a 5xx answer. `"skip"`: it goes on as if the plugin were not
/// there; refused for authorizers.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum FailurePolicy {
    Reject,
    Skip,
}

/// A plugin in one place: its name, or a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum PluginUse {
    /// `"metrics"`
    Name(String),
    /// `{ plugin = "auth", config = { .. } }`
    Table(PluginUseTable),
}

/// A plugin with settings of this place.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PluginUseTable {
    /// The name of a plugin.
    #[schemars(example = &"auth")]
    pub(in crate::config) plugin: String,
    /// Merged over the plugin's own table: a key here replaces the same key there. Default: empty.
    pub(in crate::config) config: Option<Table>,
    /// `"reject"` or `"skip"` for this place. Default: the plugin's own.
    pub(in crate::config) on_failure: Option<FailurePolicy>,
}
