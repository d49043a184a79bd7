//! The configuration as written, and its check.

use plugway_sdk::metrics::Counter;
use plugway_sdk::{HeaderName, granted, header};
use serde::Deserialize;
use serde_json::Value;

use crate::consumers::{Consumer, Consumers, Found};
use crate::manage::{Manage, ManageConfig, PARAMETERS};
use crate::place::Place;
use crate::{ApiKey, identity};

const DEFAULT_HEADER: &str = "x-api-key";
const DEFAULT_REALM: &str = "api";

/// `config = { … }`, the plugin's own merged with the route's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A list, or the text of a file with one.
    #[serde(default)]
    consumers: Value,
    header: Option<String>,
    query: Option<String>,
    realm: Option<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    forward_key: bool,
    consumer_header: Option<String>,
    #[serde(default)]
    kv: bool,
    manage: Option<ManageConfig>,
}

impl Config {
    /// Checks every key. The error is for the operator.
    pub(crate) fn check(self) -> Result<ApiKey, String> {
        let place = match (self.header, self.query) {
            (Some(_), Some(_)) => return Err("`header` and `query`: a key is in one of them; use the plugin twice for both".to_owned()),
            (None, Some(parameter)) if is_plain(&parameter) => Place::Query(parameter),
            (None, Some(parameter)) => return Err(format!("`query`: {parameter:?}: write a name of letters, digits, `-`, `_` and `.`")),
            (name, None) => {
                let name = name.unwrap_or_else(|| DEFAULT_HEADER.to_owned());
                Place::Header(own_header("header", &name)?)
            }
        };
        let consumer_header = self.consumer_header.map(|name| own_header("consumer_header", &name)).transpose()?;
        let realm = self.realm.unwrap_or_else(|| DEFAULT_REALM.to_owned());
        if realm.is_empty() || !realm.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err("`realm`: a realm is printable ASCII".to_owned());
        }
        if self.kv && !granted::kv() {
            return Err("`kv`: all workers have keys through it: add `kv = {}` to the plugin's grants".to_owned());
        }
        if self.manage.is_some() && !self.kv {
            return Err(
                "`manage` makes keys in `kv`: write `kv = true` beside `consumers`, so that they count wherever the plugin is".to_owned()
            );
        }
        if let (Some(_), Place::Query(parameter)) = (&self.manage, &place)
            && PARAMETERS.contains(&parameter.as_str())
        {
            return Err(format!("`query`: {parameter:?} is a parameter of `manage`; choose another name"));
        }
        let consumers = consumers(self.consumers)
            // One without a configured key may get its keys later.
            .and_then(|list| Consumers::new(list, usize::from(!self.kv)))
            .map_err(|why| format!("`consumers`: {why}"))?;
        // Every request of such a one would fail.
        if let Some(large) = consumers.after("").find(|consumer| identity(&Found { consumer, number: 1 }).is_err()) {
            return Err(format!(
                "`consumers`: {:?} has more scopes and claims than an identity: at most 1024, and the `max_attribute_bytes` of the plugin's `budget`",
                large.name
            ));
        }
        let checks = Counter::declare("key_checks_total", "API keys checked.", "1", ["result"])
            .map_err(|error| format!("the counter of checked keys: {error}"))?;
        Ok(ApiKey {
            place,
            consumers,
            kv: self.kv,
            manage: self.manage.map(Manage::new).transpose().map_err(|why| format!("`manage`: {why}"))?,
            optional: self.optional,
            forward_key: self.forward_key,
            challenge: format!("ApiKey realm=\"{}\"", realm.replace('\\', "\\\\").replace('"', "\\\"")),
            consumer_header,
            checks,
        })
    }
}

fn consumers(written: Value) -> Result<Vec<Consumer>, String> {
    let list = match written {
        Value::Null => return Ok(Vec::new()),
        // Where it is, and nothing of what is there: it could be a key.
        Value::String(text) => {
            serde_json::from_str(&text).map_err(|error| format!("not JSON (line {}, column {})", error.line(), error.column()))?
        }
        other => other,
    };
    serde_json::from_value(list).map_err(|error| format!("a list of tables with `name` and `keys`: {error}"))
}

fn own_header(key: &str, name: &str) -> Result<HeaderName<'static>, String> {
    if header::is_reserved(name) || ["authorization", "cookie"].iter().any(|taken| name.eq_ignore_ascii_case(taken)) {
        return Err(format!("`{key}`: {name:?} means something else to the gateway or the upstream; choose one of your own"));
    }
    if name.contains('_') {
        return Err(format!(
            "`{key}`: {name:?}: to many upstreams `_` and `-` are the same, and the gateway drops headers with `_`; write it with `-`"
        ));
    }
    HeaderName::numbered(&name.to_ascii_lowercase()).map_err(|_| format!("`{key}`: {name:?} is not a header name"))
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
