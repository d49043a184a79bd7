//! A filter that reads by [`Prefetch`] what its configuration names first, `x-first` or the path, and `x-other`, which does not come with the call; changes the
//! first as told and reads it again. `x-read: FIRST, OTHER, AGAIN` tells the upstream what it read. What it names for one configuration it reads in
//! all others too, as `x-strange`: it does not come there, though something else does.

use std::cell::OnceCell;

use plugway_sdk::{Error, Flow, NumberedLine, Plugin, Prefetch, Request, RequestFilter};
use serde::Deserialize;

thread_local! {
    /// Of the configuration that was taken first.
    static STRANGE: OnceCell<Prefetch> = const { OnceCell::new() };
}

struct Rereading {
    first: Prefetch,
    other: Prefetch,
    change: Change,
    line: NumberedLine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    first: String,
    change: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Set,
    Append,
    Line,
    Remove,
    Path,
}

fn named(name: &str) -> Result<Prefetch, Error> {
    Ok(if name == "path" { Prefetch::path() } else { Prefetch::header(name)? })
}

impl Plugin for Rereading {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        let first = named(&config.first)?;
        STRANGE.with(|strange| strange.get_or_init(|| first.clone()).clone());
        Ok(Self { first, other: Prefetch::header("x-other")?, change: config.change, line: NumberedLine::new("x-first", "line")? })
    }
}

impl RequestFilter for Rereading {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let read = |request: &Request, prefetch: &Prefetch| match request.prefetched(prefetch) {
            Some(value) => format!("<{}>", value.to_str().unwrap_or("bytes")),
            None => "none".to_owned(),
        };
        let strange = STRANGE.with(|strange| strange.get().map(|strange| read(request, strange)));
        // One that is made here is asked for.
        let late = read(request, &named("x-first")?);
        let mut all = [&self.first, &self.other].map(|prefetch| read(request, prefetch)).to_vec();
        match self.change {
            Change::Set => request.set_header("x-first", "set")?,
            Change::Append => request.append_header("x-first", "appended")?,
            Change::Line => request.set_line(&self.line)?,
            Change::Remove => request.remove_header("x-first")?,
            Change::Path => request.set_path("/changed")?,
        }
        all.push(read(request, &self.first));
        request.set_header("x-read", all.join(", "))?;
        request.set_header("x-strange", strange.unwrap_or_default())?;
        request.set_header("x-late", late)?;
        Ok(Flow::Next)
    }
}

plugway_sdk::export!(Rereading: RequestFilter);
