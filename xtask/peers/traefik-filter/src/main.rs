//! What every peer's plugin does in the bench, by http-wasm's Rust library: read the request header `x-tenant-id` and add one
//! header, whose name is the plugin's configuration: `{"header":"x-plugin-1"}`.

use http_wasm_guest::host::{Bytes, Request, Response, admin};
use http_wasm_guest::{Guest, register};

struct Tagger {
    header: Vec<u8>,
}

impl Guest for Tagger {
    fn handle_request(&self, request: &Request, _: &Response) -> (bool, i32) {
        // The value decides, so that reading it cannot be left out.
        if request.header.get(b"x-tenant-id").is_some() {
            request.header.add(&self.header, b"on");
        }
        (true, 0)
    }
}

/// Traefik hands the configuration over as JSON; the name is its fourth piece between quotes.
fn header(config: &Bytes) -> Vec<u8> {
    config.split(|byte| *byte == b'"').nth(3).map_or_else(|| b"x-plugin".to_vec(), <[u8]>::to_vec)
}

fn main() {
    register(Tagger { header: header(&admin::config()) });
}
