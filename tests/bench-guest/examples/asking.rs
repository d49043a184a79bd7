//! A request filter that asks a server some times: `config = { url = "http://127.0.0.1:8080/", times = 10 }`. For `cargo bench -p plugway --bench hooks`.

use std::hint::black_box;

use plugway_sdk::http_client::{OutgoingRequest, may_ask};
use plugway_sdk::{Error, Flow, Plugin, Request, RequestFilter};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    url: String,
    times: u32,
    /// Whether it only asks whether it may.
    #[serde(default)]
    only_may: bool,
}

impl Plugin for Asking {
    type Config = Self;

    fn configure(config: Self) -> Result<Self, Error> {
        Ok(config)
    }
}

impl RequestFilter for Asking {
    fn on_request(&self, _: &mut Request) -> Result<Flow, Error> {
        for _ in 0..self.times {
            if self.only_may {
                may_ask(&self.url)?;
            } else {
                black_box(OutgoingRequest::get(&self.url).with_shared(true).send()?.status());
            }
        }
        Ok(Flow::Next)
    }
}

plugway_sdk::export!(Asking: RequestFilter);
