//! The soak's table and its JSON.

use std::path::Path;

use plugway_harness::Result;
use plugway_harness::error::Context;
use serde_json::{Value, json};

use super::load::RATE;
use super::verdict::{Figures, STALL, mb};

/// The table, and what broke.
pub(super) fn print(figures: &Figures, broken: &[String]) {
    let Figures { load, checked, flowed, made, before, after, .. } = figures;
    let row = |name: &str, value: String| println!("  {name:<26} {value}");
    println!("\n{:.0} s of {RATE} requests a second over HTTP/1.1, two workers", figures.seconds);
    row("requests", format!("{} by h2load, {} by clients that check", load.requests, checked.answers));
    row("failures", format!("{} and {}", load.failures, checked.failures));
    row("swaps, reloads", format!("{}, {}", made.swaps, made.reloads));
    let (longest, reload) = (made.longest.as_secs_f64(), made.longest_reload.as_secs_f64());
    row("  the longest", format!("{longest:.2} s, {reload:.2} s of it at work or waiting for a core, which everything else has first"));
    row("in flight during a swap", format!("{} checked requests", checked.outlived));
    row("streams", format!("{} open for {} s, over all changes; {} ended", flowed.streams, flowed.open_for.as_secs(), flowed.ended.len()));
    row("latency", format!("p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms", load.p50_us / 1e3, load.p99_us / 1e3, load.longest_us / 1e3));
    for (index, ((lag, stalls), late)) in after.workers.iter().zip(figures.stalls()).zip(figures.late()).enumerate() {
        let (highest, busy) = (lag.highest_us as f64 / 1e3, lag.highest_busy_us as f64 / 1e3);
        row(&format!("stalls, worker {index}"), format!("{busy:.2} ms the longest, {stalls} above {STALL:?}"));
        if let Some(longest) = &lag.longest {
            row("  the longest of all", figures.told(longest));
        }
        row("  with waits for a core", format!("{highest:.2} ms the longest, {late} above {STALL:?}"));
    }
    row("memory", format!("{:.1} MB before, {:.1} MB after, at most {:.1} MB", mb(before.rss), mb(after.rss), mb(figures.memory_limit())));
    row("generations alive", after.live_generations.to_string());
    println!();
    for what in broken {
        println!("BROKEN  {what}");
    }
    for what in &checked.wrong {
        println!("wrong: {what}");
    }
    if broken.is_empty() {
        println!("every limit held");
    }
}

/// The same as JSON.
pub(super) fn write(figures: &Figures, broken: &[String], file: &Path) -> Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).context(directory.display())?;
    }
    std::fs::write(file, format!("{:#}\n", shown(figures, broken))).context(file.display())?;
    println!("written to {}", file.display());
    Ok(())
}

fn shown(figures: &Figures, broken: &[String]) -> Value {
    let Figures { load, checked, flowed, made, before, after, seconds, .. } = figures;
    let workers: Vec<Value> = after
        .workers
        .iter()
        .zip(figures.stalls())
        .zip(figures.late())
        .map(|((lag, stalls), late)| {
            json!({
                "event_loop_lag_max_us": lag.highest_us,
                "event_loop_busy_max_us": lag.highest_busy_us,
                "late": late,
                "stalls": stalls,
                "measured": lag.measured,
                "longest": lag.longest.as_ref().map(|longest| json!({ "at": longest.at, "during": longest.during })),
            })
        })
        .collect();
    json!({
        "seconds": seconds,
        "requests_per_second": RATE,
        "load": { "requests": load.requests, "failures": load.failures, "p50_us": load.p50_us, "p99_us": load.p99_us, "longest_us": load.longest_us },
        "checked": { "answers": checked.answers, "failures": checked.failures, "outlived_a_swap": checked.outlived, "wrong": checked.wrong },
        "streams": { "streams": flowed.streams, "open_for_seconds": flowed.open_for.as_secs_f64(), "bytes": flowed.bytes, "ended": flowed.ended },
        "swaps": made.swaps,
        "reloads": made.reloads,
        "longest_change_ms": made.longest.as_millis() as u64,
        "longest_change_reload_ms": made.longest_reload.as_millis() as u64,
        "workers": workers,
        "rss_bytes": { "before": before.rss, "after": after.rss, "limit": figures.memory_limit() },
        "generations_live": after.live_generations,
        "broken": broken,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_written() {
        let shown = shown(&super::super::verdict::tests::good(), &["x".to_owned()]);
        assert_eq!((&shown["swaps"], &shown["workers"][1]["stalls"], &shown["broken"][0]), (&json!(200), &json!(0), &json!("x")));
    }
}
