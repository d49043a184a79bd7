//! What a soak came to, and which limits it broke.

use std::time::{Duration, SystemTime};

use super::changes::Made;
use super::clients::Checked;
use super::load::Loaded;
use super::streams::Flowed;
use super::watch::{Longest, State};

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
    pub(super) flowed: Flowed,
    pub(super) made: Made,
    /// Changes that were to be made.
    pub(super) planned: u32,
    pub(super) before: State,
    pub(super) after: State,
    /// When it began to be measured, by the wall clock.
    pub(super) since: SystemTime,
    /// How long the load went on.
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

    /// When a stall was, and what the worker was at.
    pub(super) fn told(&self, longest: &Longest) -> String {
        let at = longest.at - self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let at = if at < 0.0 { "before it was measured".to_owned() } else { format!("after {at:.1} s") };
        format!("{at}, during {}", longest.during)
    }

    /// Limits that do not hold, in words.
    pub(super) fn broken(&self) -> Vec<String> {
        let Self { load, checked, flowed, made, planned, before, after, seconds, .. } = self;
        let mut broken = Vec::new();
        let mut limit = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        limit(load.failures == 0, format!("{} of {} requests of the load failed; none may", load.failures, load.requests));
        limit(load.kept_up >= KEPT_UP, format!("{:.0} % of the load was answered, not {:.0} %", load.kept_up * 100.0, KEPT_UP * 100.0));
        let first = checked.wrong.first().map(String::as_str).unwrap_or_default();
        limit(checked.failures == 0, format!("{} checked answers were wrong, the first: {first}", checked.failures));
        let first = flowed.ended.first().map(String::as_str).unwrap_or_default();
        limit(
            flowed.ended.is_empty(),
            format!("{} of {} streams did not flow to the end, the first: {first}", flowed.ended.len(), flowed.streams),
        );
        let (changes, wanted) = (made.swaps + made.reloads, u64::from(made.swaps + made.reloads) * CHECKED);
        limit(checked.answers >= wanted, format!("{} answers were checked in {changes} changes, not {wanted}", checked.answers));
        limit(checked.outlived > 0, "no request was in flight during a swap, so nothing was shown of those".to_owned());
        limit(
            changes == *planned,
            format!(
                "{changes} of {planned} changes were made in {seconds:.0} s: they serve too late, for want of a core or by the gateway's fault"
            ),
        );
        let swapped = after.swapped.saturating_sub(before.swapped);
        limit(swapped == u64::from(changes), format!("{changes} changes were made and the gateway counts {swapped}"));
        let rejected = after.rejected.saturating_sub(before.rejected);
        limit(rejected == 0, format!("{rejected} reloads were rejected"));
        for (worker, stalls) in self.stalls().into_iter().enumerate() {
            let lag = after.workers.get(worker);
            let highest = lag.map_or(0, |lag| lag.highest_busy_us);
            let told = lag.and_then(|lag| lag.longest.as_ref()).map(|longest| format!(", {}", self.told(longest))).unwrap_or_default();
            limit(
                stalls == 0,
                format!("worker {worker} held its event loop up for more than {STALL:?} {stalls} times, {highest} µs the longest{told}"),
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
    use super::super::watch::{Lag, Longest};
    use super::*;

    /// A soak that broke nothing.
    pub(in super::super) fn good() -> Figures {
        let longest = Longest { at: 1_083.25, during: "swap".to_owned() };
        let lag = Lag { highest_us: 19_000, highest_busy_us: 9_000, measured: 10, stalls: 1, late: 3, longest: Some(longest) };
        let before =
            State { rss: 40_000_000, live_generations: 1, plugin_instances: 2, swapped: 15, rejected: 0, workers: vec![lag.clone(), lag] };
        Figures {
            load: Loaded { requests: 1000, failures: 0, kept_up: 1.0, p50_us: 1.0, p99_us: 2.0, longest_us: 3.0 },
            flowed: Flowed { streams: 16, open_for: Duration::from_secs(160), bytes: 80_000, ended: Vec::new() },
            checked: Checked { answers: 5_000, failures: 0, wrong: Vec::new(), outlived: 1 },
            made: Made { swaps: 200, reloads: 50, longest: Duration::from_millis(700), longest_reload: Duration::from_millis(300) },
            planned: 250,
            after: State { rss: 45_000_000, swapped: 265, ..before.clone() },
            before,
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
            seconds: 150.0,
        }
    }

    #[test]
    fn of_the_longest_stall_is_told_when_and_during_what() {
        let figures = good();
        let longest = |at| Longest { at, during: "swap".to_owned() };
        assert_eq!(figures.told(&longest(1_083.25)), "after 83.2 s, during swap");
        assert_eq!(figures.told(&longest(999.0)), "before it was measured, during swap");
    }

    #[test]
    fn each_limit_holds_and_can_be_broken() {
        assert_eq!(good().broken(), Vec::<String>::new());
        let spoil: [(fn(&mut Figures), &str); 14] = [
            (|figures| figures.load.failures = 1, "of the load failed"),
            (|figures| figures.load.kept_up = 0.89, "of the load was answered"),
            (|figures| figures.checked.failures = 1, "were wrong"),
            (|figures| figures.flowed.ended.push("a stream ended".to_owned()), "1 of 16 streams"),
            (|figures| figures.checked.answers = 4_999, "were checked"),
            (|figures| figures.checked.outlived = 0, "in flight"),
            (|figures| figures.planned = 251, "250 of 251 changes"),
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
