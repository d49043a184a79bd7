//! A filter that reads one header, and another, by [`Prefetch`], changes the first one and reads it again: `x-read: FIRST, OTHER, CHANGED, REMOVED` tells the
//! upstream what it read. Of two, one alone comes with the call.

use plugway_sdk::{Error, Flow, NoConfig, Plugin, Prefetch, Request, RequestFilter};

struct Rereading {
    first: Prefetch,
    other: Prefetch,
    path: Prefetch,
}

impl Plugin for Rereading {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, Error> {
        Ok(Self { first: Prefetch::header("x-first")?, other: Prefetch::header("x-other")?, path: Prefetch::path() })
    }
}

impl RequestFilter for Rereading {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let read = |request: &Request, prefetch| match request.prefetched(prefetch) {
            Some(value) => value.to_str().unwrap_or("bytes").to_owned(),
            None => "none".to_owned(),
        };
        let mut all = [&self.first, &self.other, &self.path].map(|prefetch| read(request, prefetch)).to_vec();
        request.set_header("x-first", "changed")?;
        all.push(read(request, &self.first));
        request.remove_header("x-first")?;
        all.push(read(request, &self.first));
        request.set_header("x-read", all.join(", "))?;
        Ok(Flow::Next)
    }
}

plugway_sdk::export!(Rereading: RequestFilter);
