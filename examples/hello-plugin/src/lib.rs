//! The smallest useful plugin: says hello to upstreams, and refuses requests that name no tenant.

use plugway_sdk::{Error, Flow, LocalResponse, Plugin, Request, RequestFilter, Status, header};

/// Bytes of the longest name of a tenant. A client can send more than a plugin may set, and an error would be this plugin's failure.
const LONGEST_TENANT: usize = 64;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    greeting: String,
}

struct Hello {
    greeting: String,
}

impl Plugin for Hello {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        if config.greeting.is_empty() {
            return Err("`greeting` is empty: write what upstreams should read in x-hello".into());
        }
        Ok(Self { greeting: config.greeting })
    }
}

impl RequestFilter for Hello {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let tenant = request.header_str(header::X_TENANT_ID).filter(|tenant| tenant.len() <= LONGEST_TENANT);
        let Some(tenant) = tenant else {
            return Ok(Flow::respond(LocalResponse::problem(Status::BAD_REQUEST, "The x-tenant-id header is missing or too long.")));
        };
        request.set_header("x-hello", format!("{} {tenant}", self.greeting))?;
        Ok(Flow::Next)
    }
}

plugway_sdk::export!(Hello: RequestFilter);

#[cfg(test)]
mod tests {
    use plugway_sdk::testing::{self, json};

    use super::*;

    #[test]
    fn greets_tenants() {
        let hello = testing::configure::<Hello>(json!({ "greeting": "Hello" })).unwrap();
        let mut request = testing::Request::get("/").header(header::X_TENANT_ID, "acme").build();
        assert_eq!(hello.on_request(&mut request).unwrap(), Flow::Next);
        assert_eq!(request.header_str("x-hello").as_deref(), Some("Hello acme"));
    }

    #[test]
    fn refuses_requests_without_a_tenant() {
        let hello = testing::configure::<Hello>(json!({ "greeting": "Hello" })).unwrap();
        for request in [testing::Request::get("/"), testing::Request::get("/").header(header::X_TENANT_ID, "a".repeat(40_000))] {
            assert!(matches!(hello.on_request(&mut request.build()).unwrap(), Flow::Respond(_)));
        }
        assert!(testing::configure::<Hello>(json!({ "greeting": "" })).is_err());
    }
}
