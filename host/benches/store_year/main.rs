//! A year of a large gateway, written into a store: 200 routes, each with 10 endpoints and 20 consumers, all of them busy in every
//! minute, hour and day that is kept by default. `cargo xtask conformance store-year` runs it and reports from what it left.
//!
//! Rows are written as they are, not counted up: what is shown is how large a store becomes and how long it takes to read it.

#![allow(clippy::unwrap_used, reason = "a tool that cannot go on ends")]

mod year;

use std::path::Path;
use std::time::{Instant, SystemTime};

use plugway::config::defaults;
use plugway::config::model::Keep;
use plugway::store::seconds;

/// A day's distribution of so many values has as many bins as one of a million.
const VALUES: i64 = 20_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [file] = words.as_slice() else {
        eprintln!("store_year FILE");
        std::process::exit(2);
    };
    let began = Instant::now();
    let keep = Keep {
        minutes: defaults::STORE_MINUTES,
        hours: defaults::STORE_HOURS,
        days: defaults::STORE_DAYS,
        samples: defaults::STORE_SAMPLES,
    };
    let rows = year::write(Path::new(file), &year::Scale { routes: 200, values: VALUES, keep }, seconds(SystemTime::now()));
    println!("{rows} rows in {:.0} s", began.elapsed().as_secs_f64());
}
