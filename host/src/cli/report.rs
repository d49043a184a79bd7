//! `plugway report`

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;

use plugway::report::{Format, Request, Scope, gather};
use plugway::store;

use super::source::{Monitored, Source};
use super::{admin, block_on, print};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How far back, in minutes, hours or days: 90m, 24h, 7d.
    #[arg(long, default_value = "7d", value_parser = Request::since)]
    since: i64,
    /// Of one API alone.
    #[arg(long, value_name = "NAME", conflicts_with = "route")]
    api: Option<String>,
    /// Of one route alone.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// html: one page with everything in it; json: for programs; csv: for spreadsheets; md: for a ticket or a chat.
    #[arg(long, default_value = "html", value_parser = ["html", "json", "csv", "md"])]
    format: String,
    #[command(flatten)]
    from: Monitored,
    /// Where to; standard output without.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), String> {
    let scope = match (&options.api, &options.route) {
        (Some(api), _) => Scope::Api(api.clone()),
        (None, Some(route)) => Scope::Route(route.clone()),
        (None, None) => Scope::Gateway,
    };
    let request = Request { scope, since: options.since };
    let text = match options.from.source()? {
        Source::Gateway(address) => {
            let path = format!("/report?{}", request.query(&options.format));
            block_on(admin::get(address, &path))?
        }
        Source::Store(file) => {
            let format: Format = options.format.parse()?;
            let report = gather(&file, &request, store::seconds(SystemTime::now())).map_err(|error| error.to_string())?;
            report.write(format)
        }
    };
    match &options.output {
        Some(file) => std::fs::write(file, text).map_err(|error| format!("{} cannot be written: {error}", file.display())),
        None => print(&text),
    }
}
