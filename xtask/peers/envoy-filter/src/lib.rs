//! What every peer's plugin does in the bench, by Envoy's Rust SDK: read the request header `x-tenant-id` and add one header,
//! whose name is the plugin's configuration.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root { header: Rc::from("x-plugin") }));
}}

struct Root {
    header: Rc<str>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configured = self.get_plugin_configuration().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(header) = configured.filter(|header| !header.is_empty()) {
            self.header = Rc::from(header);
        }
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Tagger { header: Rc::clone(&self.header) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Tagger {
    header: Rc<str>,
}

impl Context for Tagger {}

impl HttpContext for Tagger {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        // The value decides, so that reading it cannot be left out.
        if self.get_http_request_header("x-tenant-id").is_some() {
            self.add_http_request_header(&self.header, "on");
        }
        Action::Continue
    }
}
