//! What one key did before: the last minutes one by one, three hours in blocks of five minutes, and an entry for each hour of some weeks.

use std::collections::VecDeque;

use crate::minute::{BLOCK, Minute, Traffic};
use crate::reading::{Hour, Reading, Repeated, Season, Worst};
use crate::sketch::Sketch;

/// Minutes kept one by one: where a step began is looked up in them.
const MINUTES: u64 = 15;
/// Blocks kept: three hours to compare with, and the hour that is compared.
const BLOCKS: usize = 48;
/// Requests below which a block is no worst one.
const ENOUGH: u64 = 50;
/// Hours of a week.
const WEEK: u64 = 168;

#[derive(Debug, Clone)]
struct Span<S> {
    start: Minute,
    traffic: Traffic<S>,
    /// Of all of it, once it is complete.
    reading: Reading,
    /// Part of an incident: nothing to compare with.
    marked: bool,
}

/// One key's past.
#[derive(Debug, Clone)]
pub(crate) struct History<S> {
    minutes: VecDeque<Span<S>>,
    blocks: VecDeque<Span<S>>,
    hours: VecDeque<Hour>,
    /// Hours kept.
    hours_kept: usize,
    hour: Option<Span<S>>,
    /// Hours like the latest one.
    season: Season,
    marking: bool,
    latest: Minute,
}

impl<S: Sketch> History<S> {
    /// Remembers that many hours.
    pub(crate) fn new(hours_kept: usize) -> Self {
        Self {
            minutes: VecDeque::new(),
            blocks: VecDeque::new(),
            // As many as there will be, and no more.
            hours: VecDeque::with_capacity(hours_kept + 1),
            hours_kept,
            hour: None,
            season: Season::default(),
            marking: false,
            latest: Minute(0),
        }
    }

    /// Takes in a minute. Minutes come in their order; missing ones had no traffic.
    pub(crate) fn push(&mut self, at: Minute, traffic: &Traffic<S>) {
        if self.latest.hour() != at.hour() {
            self.end_hour();
        }
        if self.latest.hour() != at.hour() {
            self.season = self.season_of(at.hour());
        }
        self.latest = at;
        let reading = Reading::of(traffic);
        let span = |start| Span { start, traffic: traffic.clone(), reading, marked: self.marking };
        self.minutes.push_back(span(at));
        while self.minutes.front().is_some_and(|span| span.start.0 + MINUTES <= at.0) {
            self.minutes.pop_front();
        }
        let start = at.block();
        match self.blocks.back_mut() {
            Some(block) if block.start == start => {
                block.traffic.merge(traffic);
                block.marked |= self.marking;
            }
            last => {
                if let Some(block) = last {
                    block.reading = Reading::of(&block.traffic);
                }
                self.blocks.push_back(span(start));
            }
        }
        if self.blocks.len() > BLOCKS {
            self.blocks.pop_front();
        }
        if !self.marking {
            match &mut self.hour {
                Some(hour) => hour.traffic.merge(traffic),
                None => self.hour = Some(span(at)),
            }
        }
    }

    fn end_hour(&mut self) {
        let hour = self.latest.hour();
        if let Some(block) = self.blocks.back_mut() {
            block.reading = Reading::of(&block.traffic);
        }
        let blocks = self.blocks.iter().filter(|block| block.start.hour() == hour && block.reading.server.all >= ENOUGH);
        let worst = blocks.map(|block| Worst::from(&block.reading)).reduce(Worst::max);
        let usual = self.hour.take().map(|hour| Reading::of(&hour.traffic));
        let Some(worst) = worst.or(usual.as_ref().map(Worst::from)) else { return };
        let Reading { server, client, median, p95 } = usual.unwrap_or(Reading::NOTHING);
        let (requests, server_errors, client_errors) = (server.all, server.bad, client.bad);
        self.learn(Hour { hour, requests, server_errors, client_errors, median, p95, worst });
    }

    /// Takes in an hour that was kept elsewhere; hours come in their order.
    pub(crate) fn learn(&mut self, hour: Hour) {
        self.hours.push_back(hour);
        if self.hours.len() > self.hours_kept {
            self.hours.pop_front();
        }
    }

    /// From `onset` on this is no usual time, until [`History::unmark`].
    pub(crate) fn mark(&mut self, onset: Minute) {
        self.marking = true;
        for block in self.blocks.iter_mut().filter(|block| block.start.0 + BLOCK > onset.0) {
            block.marked = true;
        }
        // What it has of the incident is not worth telling apart: the hour is left out.
        self.hour = None;
    }

    /// Usual times again.
    pub(crate) fn unmark(&mut self) {
        self.marking = false;
    }

    /// Forgets all but what has been since: what is usual is another thing now.
    pub(crate) fn accept(&mut self) {
        self.marking = false;
        self.hours.clear();
        self.season = Season::default();
        self.blocks.iter_mut().for_each(|block| block.marked = false);
    }

    /// The last `minutes`: 5, or at the end of a block 15 or 60.
    pub(crate) fn window(&self, minutes: u64) -> Option<Traffic<S>> {
        let from = (self.latest.0 + 1).saturating_sub(minutes);
        let spans = if minutes <= BLOCK {
            &self.minutes
        } else if self.latest.ends_block() {
            &self.blocks
        } else {
            return None;
        };
        Some(Traffic::sum(spans.iter().filter(|span| span.start.0 >= from).map(|span| &span.traffic)))
    }

    /// The last quarter of an hour without that many of its minutes, those that `read` finds worst.
    pub(crate) fn without_worst(&self, most: usize, read: fn(&Reading) -> f64) -> Traffic<S> {
        let mut spans: Vec<_> = self.minutes.iter().collect();
        // Of a minute without requests there is nothing to read: none is better.
        let badness = |span: &Span<S>| Some(read(&span.reading)).filter(|value| !value.is_nan()).unwrap_or(f64::NEG_INFINITY);
        spans.sort_by(|one, other| badness(one).total_cmp(&badness(other)));
        spans.truncate(spans.len().saturating_sub(most));
        Traffic::sum(spans.into_iter().map(|span| &span.traffic))
    }

    /// Whether a part of the last `minutes` belongs to an incident.
    pub(crate) fn is_marked(&self, minutes: u64) -> bool {
        let from = (self.latest.0 + 1).saturating_sub(minutes);
        self.blocks.iter().any(|block| block.marked && block.start.0 >= from)
    }

    /// Each of the last minutes' readings with their beginning, oldest first; of blocks where minutes are no longer kept.
    pub(crate) fn recent(&self) -> impl DoubleEndedIterator<Item = (Minute, Reading)> + '_ {
        let first = self.minutes.front().map_or(self.latest, |span| span.start);
        let blocks = self.blocks.iter().filter(move |block| block.start.0 + BLOCK <= first.0);
        blocks.chain(&self.minutes).map(|span| (span.start, span.reading))
    }

    /// Each of the last blocks' readings with their beginning, oldest first; of the one that is not complete what it has.
    pub(crate) fn blocks(&self) -> impl DoubleEndedIterator<Item = (Minute, Reading)> + '_ {
        self.blocks.iter().enumerate().map(|(index, block)| {
            let complete = index + 1 < self.blocks.len();
            (block.start, if complete { block.reading } else { Reading::of(&block.traffic) })
        })
    }

    /// Up to twelve usual spans of that many minutes before the window of the same length, newest first.
    pub(crate) fn before(&self, minutes: u64) -> Vec<Reading> {
        let end = (self.latest.0 + 1).saturating_sub(minutes);
        if minutes >= 60 {
            let hours = self.hours.iter().rev().filter(|hour| (hour.hour + 1) * 60 <= end && hour.requests > 0);
            return hours.take(24).map(Reading::from).collect();
        }
        let usual = self.blocks.iter().rev().filter(|block| block.start.0 + BLOCK <= end && !block.marked);
        if minutes <= BLOCK {
            return usual.map(|block| block.reading).filter(|reading| reading.server.all > 0).take(12).collect();
        }
        let usual: Vec<_> = usual.collect();
        let group = usize::try_from(minutes / BLOCK).unwrap_or(1);
        let merged = usual.chunks_exact(group).take(12).map(|blocks| Reading::of(&Traffic::sum(blocks.iter().map(|block| &block.traffic))));
        merged.filter(|reading| reading.server.all > 0).collect()
    }

    /// Hours like this one, for a window of so many minutes.
    pub(crate) fn season(&self, minutes: u64) -> Season {
        let mut season = self.season.clone();
        if self.latest.0 % 60 + 1 < minutes {
            season.repeated = season.repeated.into_iter().chain(season.repeated_before).reduce(Repeated::max);
        }
        season
    }

    fn season_of(&self, now: u64) -> Season {
        let near = |period: u64, most: u64| {
            let near = move |hour: &&Hour| {
                let (ago, rest) = (now.saturating_sub(hour.hour), now.saturating_sub(hour.hour) % period);
                ago + 1 >= period && ago <= most * period + 1 && (rest <= 1 || rest + 1 >= period)
            };
            self.hours.iter().filter(near).filter(|hour| hour.requests > 0).map(Reading::from).collect::<Vec<_>>()
        };
        let repeated = |of: u64| {
            let every = |period: u64, most: u64| {
                let is_same = move |hour: &Hour| {
                    let ago = of.saturating_sub(hour.hour);
                    ago > 0 && ago.is_multiple_of(period) && ago <= most * period
                };
                let level = Worst::second(self.hours.iter().filter(|hour| is_same(hour)).map(|hour| hour.worst))?;
                let pairs = self.hours.iter().zip(self.hours.iter().skip(1));
                let pairs = pairs.filter(|(before, hour)| is_same(hour) && before.hour + 1 == hour.hour && before.requests > 0);
                let rise = Worst::second(pairs.map(|(before, hour)| hour.worst.above(Worst::from(&Reading::from(before)))));
                Some(Repeated { level, rise })
            };
            [every(24, 7), every(WEEK, 4)].into_iter().flatten().reduce(Repeated::max)
        };
        let weeks = near(WEEK, 4);
        let (repeated, repeated_before) = (repeated(now), repeated(now.saturating_sub(1)));
        // Where there is no such week yet, the same hours of the days before.
        Season { near: if weeks.len() >= 3 { weeks } else { near(24, 7) }, repeated, repeated_before }
    }

    /// When something was last heard of it.
    pub(crate) fn latest(&self) -> Minute {
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minute::Errors;
    use crate::sketch::LogHistogram;
    use crate::statistics::Share;

    fn traffic(requests: u64) -> Traffic<LogHistogram> {
        let mut latency = LogHistogram::default();
        latency.record(0.01, requests);
        Traffic { requests, errors: Errors { upstream: 1, ..Errors::default() }, latency }
    }

    fn after(minutes: u64) -> History<LogHistogram> {
        let mut history = History::new(700);
        (0..minutes).for_each(|at| history.push(Minute(at), &traffic(10)));
        history
    }

    #[test]
    fn windows_and_what_was_before_them() {
        let history = after(240);
        assert_eq!(history.window(5).unwrap().requests, 50);
        assert_eq!(history.window(60).unwrap().requests, 600);
        let before = history.before(5);
        assert_eq!((before.len(), before[0].server), (12, Share { bad: 5, all: 50 }));
        assert_eq!(history.before(15)[11].server.all, 150);
        assert_eq!(history.before(60).len(), 3, "whole hours that ended before the last one began");
        let mut history = history;
        history.push(Minute(240), &traffic(10));
        assert_eq!(history.window(15).map(|window| window.requests), None, "not in the middle of a block");
    }

    #[test]
    fn what_is_marked_is_not_compared_with() {
        let mut history = after(120);
        history.mark(Minute(100));
        (120..150).for_each(|at| history.push(Minute(at), &traffic(1_000)));
        assert_eq!(history.before(5)[0].server.all, 50);
        history.unmark();
        (150..300).for_each(|at| history.push(Minute(at), &traffic(10)));
        assert_eq!(
            history.hours.iter().rev().map(|hour| (hour.hour, hour.requests)).collect::<Vec<_>>(),
            [(3, 600), (2, 300), (1, 0), (0, 600)]
        );
    }

    #[test]
    fn hours_of_the_same_week_time_make_the_season() {
        let mut history = after(0);
        for hour in 0..400 {
            history.learn(Hour { hour, requests: 1 + hour % WEEK, median: 0.0, p95: 0.0, ..Hour::default() });
        }
        history.push(Minute(400 * 60), &traffic(10));
        let mut requests: Vec<_> = history.season(5).near.iter().map(|reading| reading.server.all).collect();
        requests.sort_unstable();
        // Hour 400 is hour 64 of its week: 63 to 65 of two weeks.
        assert_eq!(requests, [64, 64, 65, 65, 66, 66]);
    }
}
