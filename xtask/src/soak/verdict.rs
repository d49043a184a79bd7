//! What a soak came to, and which limits it broke.

use std::time::Duration;

use super::changes::Made;
use super::clients::Checked;
use super::load::Loaded;
use super::watch::State;

/// An event loop that a worker holds up for longer than this stalls.
pub(super) const STALL: Duration = Duration::from_millis(5);
/// Memory may be higher afterwards by this share of what it was, and by this much, bytes: pages that the allocator has not given
/// back, some of each.
const MEMORY_SHARE: f64 = 0.05;
const MEMORY: u64 = 4_000_000;
/// Of the load that was to be steady so much must have been answered: what was not sent could not fail.
const KEPT_UP: f64 = 0.9;
/// Checked answers for each change at least.
const CHECKED: u64 = 20;

/// Everything that was counted.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) load: Loaded,
    pub(super) checked: Checked,
    pub(super) made: Made,
    pub(super) before: State,
    pub(super) after: State,
    pub(super) seconds: f64,
}

impl Figures {
    /// Highest memory that counts as its level before.
    pub(super) fn memory_limit(&self) -> u64 {
        self.before.rss + MEMORY + (self.before.rss as f64 * MEMORY_SHARE) as u64
    }

    /// Stalls of each worker while it was measured.
    pub(super) fn stalls(&self) -> Vec<u64> {
        let before = |index: usize| self.before.workers.get(index).map_or(0, |lag| lag.stalls);
        self.after.workers.iter().enumerate().map(|(index, lag)| lag.stalls.saturating_sub(before(index))).collect()
    }

    /// Times that each worker was late in that time, for whatever reason.
    pub(super) fn late(&self) -> Vec<u64> {
        let before = |index: usize| self.before.workers.get(index).map_or(0, |lag| lag.late);
        self.after.workers.iter().enumerate().map(|(index, lag)| lag.late.saturating_sub(before(index))).collect()
    }

    /// Limits that do not hold, in words.
    pub(super) fn broken(&self) -> Vec<String> {
        let Self { load, checked, made, before, after, .. } = self;
        let mut broken = Vec::new();
        let mut limit = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        limit(load.failures == 0, format!("{} of {} requests of the load failed; none may", load.failures, load.requests));
        limit(load.kept_up >= KEPT_UP, format!("{:.0} % of the load was answered, not {:.0} %", load.kept_up * 100.0, KEPT_UP * 100.0));
        let late = made.took.saturating_sub(load.duration);
        limit(late.is_zero(), format!("the last change came {:.1} s after the load had ended", late.as_secs_f64()));
        let first = checked.wrong.first().map(String::as_str).unwrap_or_default();
        limit(checked.failures == 0, format!("{} checked answers were wrong, the first: {first}", checked.failures));
        let (changes, wanted) = (made.swaps + made.reloads, u64::from(made.swaps + made.reloads) * CHECKED);
        limit(checked.answers >= wanted, format!("{} answers were checked in {changes} changes, not {wanted}", checked.answers));
        limit(checked.outlived > 0, "no request was in flight during a swap, so nothing was shown of those".to_owned());
        let swapped = after.swapped.saturating_sub(before.swapped);
        limit(swapped == u64::from(changes), format!("{changes} changes were made and the gateway counts {swapped}"));
        let rejected = after.rejected.saturating_sub(before.rejected);
        limit(rejected == 0, format!("{rejected} reloads were rejected"));
        for (worker, stalls) in self.stalls().into_iter().enumerate() {
            let highest = after.workers.get(worker).map_or(0, |lag| lag.highest_busy_us);
            limit(
                stalls == 0,
                format!("worker {worker} held its event loop up for more than {STALL:?} {stalls} times, {highest} µs the longest"),
            );
        }
        let most = self.memory_limit();
        limit(after.rss <= most, format!("memory is {:.1} MB afterwards, at most {:.1} MB may be", mb(after.rss), mb(most)));
        limit(after.live_generations == 1, format!("{} generations are alive at the end, not 1", after.live_generations));
        let (now, then) = (after.plugin_instances, before.plugin_instances);
        limit(now == then, format!("the plugin has {now} instances at the end, it had {then}"));
        broken
    }
}

pub(super) fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::watch::Lag;
    use super::*;

    /// A soak that broke nothing.
    pub(in super::super) fn good() -> Figures {
        let lag = Lag { highest_us: 19_000, highest_busy_us: 9_000, measured: 10, stalls: 1, late: 3 };
        let before = State { rss: 40_000_000, live_generations: 1, plugin_instances: 2, swapped: 15, rejected: 0, workers: vec![lag, lag] };
        Figures {
            load: Loaded {
                requests: 1000,
                duration: Duration::from_secs(153),
                failures: 0,
                kept_up: 1.0,
                p50_us: 1.0,
                p99_us: 2.0,
                longest_us: 3.0,
            },
            checked: Checked { answers: 5_000, failures: 0, wrong: Vec::new(), outlived: 1 },
            made: Made {
                swaps: 200,
                reloads: 50,
                longest: Duration::from_millis(700),
                longest_reload: Duration::from_millis(300),
                took: Duration::from_secs(151),
            },
            after: State { rss: 45_000_000, swapped: 265, ..before.clone() },
            before,
            seconds: 150.0,
        }
    }

    #[test]
    fn each_limit_holds_and_can_be_broken() {
        assert_eq!(good().broken(), Vec::<String>::new());
        let spoil: [(fn(&mut Figures), &str); 13] = [
            (|figures| figures.load.failures = 1, "of the load failed"),
            (|figures| figures.load.kept_up = 0.89, "of the load was answered"),
            (|figures| figures.made.took = Duration::from_secs(154), "after the load"),
            (|figures| figures.checked.failures = 1, "were wrong"),
            (|figures| figures.checked.answers = 4_999, "were checked"),
            (|figures| figures.checked.outlived = 0, "in flight"),
            (|figures| figures.after.swapped -= 1, "the gateway counts 249"),
            (|figures| figures.after.swapped += 1, "the gateway counts 251"),
            (|figures| figures.after.rejected = 1, "rejected"),
            (|figures| figures.after.workers.iter_mut().skip(1).for_each(|lag| lag.stalls += 1), "worker 1 held its event loop up"),
            (|figures| figures.after.rss = 46_000_001, "memory"),
            (|figures| figures.after.live_generations = 2, "generations"),
            (|figures| figures.after.plugin_instances = 4, "instances"),
        ];
        for (spoil, words) in spoil {
            let mut figures = good();
            spoil(&mut figures);
            let broken = figures.broken();
            assert!(matches!(broken.as_slice(), [one] if one.contains(words)), "{words}: {broken:?}");
        }
    }
}
