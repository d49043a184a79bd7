//! A consumer that sends far more than it does: than in the hour before, and than it ever does at this time of other days and weeks.

use std::collections::VecDeque;

use crate::incident::{Evidence, Severity, Unit};
use crate::ledger::{Finding, Verdict};
use crate::minute::{BLOCK, Minute};
use crate::statistics::median;

/// Blocks of a day.
const DAY: usize = 288;
/// Hours kept.
const HOURS: usize = 4 * 168;
/// Requests in five minutes below which nobody jumps.
const ENOUGH: f64 = 200.0;
/// Times the hour before.
const TIMES: f64 = 3.0;
/// Times what it does at this time on other days, at least twice.
const TIMES_REPEATED: f64 = 1.8;
/// Times the busiest five minutes of a day, where other days are not known.
const TIMES_BUSIEST: f64 = 1.5;
/// Hours after which other days are known.
const KNOWN: u64 = 50;
/// Blocks that confirm.
const CONFIRM: u32 = 2;

/// What one consumer sent.
#[derive(Debug, Default)]
pub(crate) struct Consumer {
    /// By five minutes; those of a jump are left out.
    blocks: VecDeque<f64>,
    /// Hours since 1970, and the busiest five minutes of each.
    hours: VecDeque<(u64, f64)>,
    block: f64,
    raised: u32,
    suspects: Vec<f64>,
    open: Option<Open>,
    since: Option<Minute>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    before: f64,
    level: f64,
}

impl Consumer {
    /// Takes in a minute; a verdict at the end of each five.
    pub(crate) fn minute(&mut self, at: Minute, requests: u64) -> Option<(Verdict, Option<Finding>)> {
        self.since.get_or_insert(at);
        self.block += requests as f64;
        if !at.ends_block() {
            return None;
        }
        let now = std::mem::take(&mut self.block);
        let usual = self.usual(at);
        self.peak(at, now);
        if let Some(Open { before, level }) = self.open {
            let verdict = if now >= before + 0.4 * (level - before) { Verdict::Held } else { Verdict::Calm };
            return Some((verdict, None));
        }
        let mut hour: Vec<_> = self.blocks.iter().rev().take(12).copied().collect();
        let before = median(&mut hour).filter(|_| hour.len() == 12);
        let jumped = before.is_some_and(|before| now >= ENOUGH && now >= TIMES * before && now >= usual);
        if !jumped {
            // What was suspected was no jump, and is part of what is usual.
            for block in std::mem::take(&mut self.suspects) {
                self.learn(block);
            }
            self.learn(now);
            self.raised = 0;
            return Some((Verdict::Calm, None));
        }
        self.raised += 1;
        self.suspects.push(now);
        if self.raised < CONFIRM {
            return Some((Verdict::Calm, None));
        }
        let before = before.unwrap_or_default();
        self.open = Some(Open { before, level: now });
        let per_second = |block: f64| block / (BLOCK * 60) as f64;
        let evidence = vec![
            Evidence::new("requests a second now", per_second(now), Unit::Count),
            Evidence::new("requests a second in the hour before", per_second(before), Unit::Count),
            Evidence::new("requests a second that would be no jump at this time", per_second(usual), Unit::Count),
        ];
        let start = at.before(u64::from(CONFIRM) * BLOCK - 1);
        let weight = now / before.max(1.0);
        Some((Verdict::Raised, Some(Finding { start, severity: Severity::Ticket, weight, evidence, cause: None })))
    }

    /// It has ended; `usual` where it is what is usual from now on.
    pub(crate) fn release(&mut self, usual: bool) {
        let open = self.open.take();
        self.raised = 0;
        self.suspects.clear();
        if let Some(open) = open.filter(|_| usual) {
            for _ in 0..12 {
                self.learn(open.level);
            }
        }
    }

    /// What is no jump at this time: the second busiest of this hour, one earlier and one later, on other days and in other weeks, so
    /// that what happened once says nothing and what comes every night does.
    fn usual(&self, at: Minute) -> f64 {
        let repeated = |period: u64, most: u64| {
            let (mut first, mut second) = (0.0, 0.0);
            for times in 1..=most {
                let then = at.hour().saturating_sub(times * period);
                let near = self.hours.iter().filter(|(hour, _)| hour.abs_diff(then) <= 1);
                let busiest = near.map(|(_, busiest)| *busiest).fold(0.0, f64::max);
                second = f64::max(second, f64::min(first, busiest));
                first = f64::max(first, busiest);
            }
            second
        };
        if self.since.is_some_and(|since| at.hour() >= since.hour() + KNOWN) {
            return TIMES_REPEATED * f64::max(repeated(24, 7), repeated(168, 4));
        }
        TIMES_BUSIEST * self.blocks.iter().copied().fold(0.0, f64::max)
    }

    fn learn(&mut self, block: f64) {
        self.blocks.push_back(block);
        if self.blocks.len() > DAY {
            self.blocks.pop_front();
        }
    }

    /// Jumps too: what is repeated is no jump.
    fn peak(&mut self, at: Minute, block: f64) {
        match self.hours.back_mut() {
            Some((hour, busiest)) if *hour == at.hour() => *busiest = busiest.max(block),
            _ => self.hours.push_back((at.hour(), block)),
        }
        if self.hours.len() > HOURS {
            self.hours.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(consumer: &mut Consumer, from: u64, minutes: u64, each: u64) -> Vec<Verdict> {
        (from..from + minutes).filter_map(|at| consumer.minute(Minute(at), each)).map(|(verdict, _)| verdict).collect()
    }

    #[test]
    fn ten_times_is_a_jump_after_ten_minutes_and_one_that_comes_every_hour_is_none() {
        let mut consumer = Consumer::default();
        assert!(verdicts(&mut consumer, 0, 300, 50).iter().all(|verdict| *verdict == Verdict::Calm));
        assert_eq!(verdicts(&mut consumer, 300, 15, 500), [Verdict::Calm, Verdict::Raised, Verdict::Held]);
        assert_eq!(verdicts(&mut consumer, 315, 5, 60), [Verdict::Calm]);
        let mut batch = Consumer::default();
        for hour in 0..48 {
            let (busy, idle) = (verdicts(&mut batch, hour * 60, 10, 500), verdicts(&mut batch, hour * 60 + 10, 50, 2));
            assert!(busy.into_iter().chain(idle).all(|verdict| verdict == Verdict::Calm), "hour {hour}");
        }
    }
}
