//! The plugin of the bench, doing what every peer's plugin did when the numbers to reach were measured: read the request
//! header `x-tenant-id` and add one header.

use plugway_sdk::{Error, Flow, NumberedLine, Plugin, Prefetch, Request, RequestFilter, header};

/// `config = { header = "x-plugin", value = "on" }`
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The header to add; default `x-plugin`. A chain of five gives each its own, so that each really adds one.
    header: String,
    /// What the header says; default `on`.
    value: String,
    /// The number of the route, where each is to have a configuration of its own: equal ones are one.
    route: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self { header: "x-plugin".to_owned(), value: "on".to_owned(), route: None }
    }
}

struct Tagger {
    tenant: Prefetch,
    line: NumberedLine,
}

impl Plugin for Tagger {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(Self { tenant: Prefetch::header(header::X_TENANT_ID)?, line: NumberedLine::new(&config.header, config.value)? })
    }
}

impl RequestFilter for Tagger {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        // The value decides, so that reading it cannot be left out.
        match request.prefetched(&self.tenant) {
            Some(_) => Ok(request.next_with(&self.line)?),
            None => Ok(Flow::Next),
        }
    }
}

plugway_sdk::export!(Tagger: RequestFilter);

#[cfg(test)]
mod tests {
    use plugway_sdk::testing::{self, json};

    use super::*;

    #[test]
    fn a_header_is_added_where_there_is_a_tenant() {
        let plugin = testing::configure::<Tagger>(json!({ "header": "x-plugin-3", "route": 7 })).unwrap();
        let mut tenant = testing::Request::get("/").header(header::X_TENANT_ID, "acme").build();
        let mut nobody = testing::Request::get("/").build();
        for request in [&mut tenant, &mut nobody] {
            assert_eq!(plugin.on_request(request).unwrap(), Flow::Next);
        }
        assert_eq!(tenant.header_str("x-plugin-3").as_deref(), Some("on"));
        assert_eq!(nobody.header_str("x-plugin-3"), None);
    }
}
