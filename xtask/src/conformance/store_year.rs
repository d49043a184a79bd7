//! `cargo xtask conformance store-year`: how large a store becomes in a year, and how long its report takes.

use std::time::{Duration, Instant};

use plugway_harness::error::Context;
use plugway_harness::temp::TempDir;
use plugway_harness::{Error, Result, process};

use crate::workspace::{self, cargo};

/// The store may have so many bytes.
const MOST_BYTES: u64 = 2_000_000_000;
/// A year's report may take so long, in CPU time: a busy machine makes everything late.
const LONGEST: Duration = Duration::from_secs(10);

/// Generates a year, measures it, and judges.
pub(crate) fn run() -> Result<()> {
    let gateway = workspace::release_gateway()?;
    let folder = TempDir::new()?;
    let file = folder.path().join("monitoring.db");
    let words = ["bench", "--locked", "-p", "plugway", "--bench", "store_year", "--"];
    workspace::run(cargo(words).arg(&file))?;
    let bytes = std::fs::metadata(&file).context(file.display())?.len();
    println!("the store has {:.2} GB", bytes as f64 / 1e9);
    let mut slowest = Duration::ZERO;
    for scope in [&[][..], &["--api", "api-07"], &["--route", "route-042"]] {
        let (began, before) = (Instant::now(), process::cpu_time_of_ended_children(std::process::id())?);
        let mut command = workspace::command(&gateway, ["report", "--since", "365d", "--store"]);
        let output = command.arg(&file).args(scope).output().context(gateway.display())?;
        let took = process::cpu_time_of_ended_children(std::process::id())?.saturating_sub(before);
        if !output.status.success() {
            return Err(Error::new(String::from_utf8_lossy(&output.stderr)));
        }
        let of = scope.last().unwrap_or(&"all of it");
        let (wall, size) = (began.elapsed().as_secs_f64(), output.stdout.len() / 1000);
        println!("a year's report of {of} took {:.1} s of CPU in {wall:.1} s and has {size} KB", took.as_secs_f64());
        slowest = slowest.max(took);
    }
    if bytes > MOST_BYTES || slowest > LONGEST {
        return Err(Error::new(format!("more than {:.0} GB, or slower than {LONGEST:?}", MOST_BYTES as f64 / 1e9)));
    }
    Ok(())
}
