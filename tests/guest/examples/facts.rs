//! A filter that tells what it knows of a request: a header `x-fact-NAME` for each fact, so that whoever gets the request can compare. What is not there has
//! no header; bytes are in hexadecimal.

use plugway_sdk::{Error, Flow, NoConfig, Plugin, Request, RequestFilter};

struct Facts;

impl Plugin for Facts {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl RequestFilter for Facts {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let facts = [
            ("method", Some(request.method())),
            ("scheme", Some(request.scheme())),
            ("authority", Some(request.authority())),
            ("path", Some(request.path())),
            ("raw-path", Some(request.raw_path())),
            ("query", request.query()),
            ("query-tag", request.query_parameter("tag")),
            ("query-empty", request.query_parameter("empty")),
            ("query-absent", request.query_parameter("absent")),
            ("segment-user", request.path_parameter("user")),
            ("segment-absent", request.path_parameter("absent")),
            ("peer", Some(request.peer_address())),
            ("client", Some(request.client_address())),
            ("tls-version", request.tls_version()),
            ("tls-server-name", request.tls_server_name()),
            ("tls-alpn", request.tls_alpn()),
            ("certificate", request.client_certificate().as_deref().map(hex)),
            ("certificate-sha256", request.client_certificate_sha256().as_deref().map(hex)),
            ("id", Some(request.id())),
            ("trace-parent", Some(request.trace_parent())),
            ("received-at", Some(request.received_at().to_string())),
            ("route", Some(request.route())),
            ("api", request.api()),
            ("api-version", request.api_version()),
        ];
        for (name, value) in facts {
            if let Some(value) = value {
                request.set_header(&*format!("x-fact-{name}"), value)?;
            }
        }
        Ok(Flow::Next)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

plugway_sdk::export!(Facts: RequestFilter);
