//! Who looks at each minute that is complete, on the store's thread.
//!
//! After a start it learns days and hours, then lives through the last day's minutes again, in parts of a tenth of a second. What was told by an
//! earlier run it only follows; from `analysed` on it tells. Should the store fail meanwhile, it begins anew from what the store has.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use plugway_analysis::{Analyst, Change, Ended, Kind, LogHistogram, Minute, Severity};
use rusqlite::{Connection, Result, Transaction, TransactionBehavior};

use super::past::{self, Past};
use super::told::{self, Key};
use super::watched::Watched;
use super::{Open, minute};
use crate::store::{self, Incident, Slo, Tier};
use crate::telemetry::Telemetry;

/// How long it may hold up the store's thread at once: nothing is written meanwhile.
const PART: Duration = Duration::from_millis(100);
/// Minutes that are lived through again, seconds: nothing but a certificate or a budget stays open for longer.
const AGAIN: i64 = 24 * 3_600;
/// Hours that are learnt, seconds: four weeks for what is usual; a promise may be over 90 days, and where hours are not kept for so long,
/// days are.
const PAST: i64 = 90 * 86_400;
/// What was lived through may be so far ahead of the clock, seconds; beyond it the clock was wrong.
const AHEAD: i64 = 600;
/// What is to be lived through may be so much, seconds: beyond it the clock was wrong, or the machine slept, and a beginning comes to now sooner.
/// From 1970 it would be thirty million minutes.
const BEHIND: i64 = 2 * AGAIN;
/// Hours learnt at once, seconds.
const STRETCH: i64 = 6 * 3_600;

/// Analysis of what is stored.
#[derive(Debug)]
pub struct Watch {
    watched: Arc<Watched>,
    /// What is configured from now on.
    news: Receiver<Arc<Watched>>,
    open: Open,
    telemetry: Arc<Telemetry>,
    /// `None` where it has to begin anew.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    telemetry: Arc<Telemetry>,
    analyst: Analyst<LogHistogram>,
    past: Past,
    /// Days before are learnt, seconds since 1970.
    day: i64,
    /// From here on there are hours.
    hours: i64,
    /// Hours before are learnt, seconds since 1970.
    learnt: i64,
    /// The first minute that is lived through.
    first: i64,
    /// The next one.
    next: i64,
    /// Numbers in the store by numbers of analysis.
    numbers: HashMap<u64, i64>,
    /// It has come to now, and what is open is what is open in the store.
    is_current: bool,
}

impl Watch {
    /// Analysis that knows nothing yet. What it finds open is in `open`; `news` says when something else is configured.
    pub fn new(watched: Watched, news: Receiver<Arc<Watched>>, open: Open, telemetry: Arc<Telemetry>) -> Self {
        Self { watched: Arc::new(watched), news, open, telemetry, running: None }
    }

    fn begin(&self, store: &Connection, until: i64) -> Result<Running> {
        let first = first(store, until)?;
        let past = Past::read(store, &self.watched, until - PAST, until)?;
        let oldest: Option<i64> = store.query_row("SELECT min(at) FROM route_hour WHERE at >= ?1", [until - PAST], |row| row.get(0))?;
        let analyst = Analyst::new(self.watched.topology.clone());
        let hours = oldest.unwrap_or(first).min(first);
        let day = |at: i64| at - at.rem_euclid(Tier::Day.seconds());
        let reach = day(until - self.watched.longest_window());
        let oldest: Option<i64> = store.query_row("SELECT min(at) FROM route_day WHERE at >= ?1", [reach], |row| row.get(0))?;
        Ok(Running {
            telemetry: Arc::clone(&self.telemetry),
            analyst,
            past,
            day: oldest.unwrap_or(hours).min(hours),
            hours,
            learnt: hours,
            first,
            next: first,
            numbers: HashMap::new(),
            is_current: false,
        })
    }

    /// Shows what is open.
    fn show(&self, store: &Connection) -> Result<()> {
        let open = Incident::open(store)?;
        let of = |kind: Kind, severity: Severity| {
            let is = |incident: &Incident| incident.kind == kind.as_str() && incident.severity == severity.as_str();
            (kind.as_str(), severity.as_str(), open.iter().filter(|(_, incident)| is(incident)).count() as u64)
        };
        let counts = Kind::ALL.into_iter().flat_map(|kind| [Severity::Page, Severity::Ticket].map(|severity| of(kind, severity)));
        self.telemetry.incidents().set(counts.collect());
        self.open.set(open);
        Ok(())
    }
}

impl store::Analyst for Watch {
    fn analyse(&mut self, store: &Connection, until: i64) -> Result<bool> {
        let near = (until - BEHIND)..=(until + AHEAD);
        let mut running = match self.running.take().filter(|running| near.contains(&running.next)) {
            Some(running) => running,
            None => {
                self.show(store)?;
                told_until(store, until)?;
                self.begin(store, until)?
            }
        };
        // A store that was begun anew, since the one before was broken or is gone, is told what lasts.
        if running.is_current && analysed(store)? == 0 {
            running.numbers.clear();
            running.is_current = false;
        }
        let news = self.news.try_iter().last();
        if let Some(watched) = news {
            let changes = running.analyst.configure(Minute(running.next.unsigned_abs() / 60), watched.topology.clone());
            self.watched = watched;
            if running.is_current {
                let transaction = write(store)?;
                running.tell(&transaction, &self.watched, changes)?;
                transaction.commit()?;
            }
        }
        let began = Instant::now();
        while running.is_behind(until) {
            if began.elapsed() >= PART {
                self.running = Some(running);
                return Ok(true);
            }
            running.step(store, &self.watched)?;
        }
        if !running.is_current {
            running.agree(store, &self.watched, until)?;
        }
        self.show(store)?;
        running.promises(store, &self.watched, until)?;
        self.running = Some(running);
        Ok(false)
    }
}

impl Running {
    /// Whether there is something to learn or to live through.
    fn is_behind(&self, until: i64) -> bool {
        self.day < self.hours || self.learnt < self.first || self.next < until
    }

    /// Learns a day or some hours, or lives through a minute.
    fn step(&mut self, store: &Connection, watched: &Watched) -> Result<()> {
        let cells = self.telemetry.store();
        if self.day < self.hours {
            past::learn_day(store, watched, &mut self.analyst, self.day, self.hours, cells)?;
            self.day += Tier::Day.seconds();
            return Ok(());
        }
        if self.learnt < self.first {
            let until = (self.learnt + STRETCH).min(self.first);
            self.past.learn(store, watched, &mut self.analyst, self.learnt, until, cells)?;
            self.learnt = until;
            return Ok(());
        }
        let changes = self.analyst.minute(&minute::read(store, watched, self.next, cells)?);
        // Two processes may have this store while one takes over from the other: who is first tells.
        if analysed(store)? > self.next {
            self.follow(store, &changes)?;
        } else {
            let transaction = write(store)?;
            if analysed(&transaction)? <= self.next {
                self.tell(&transaction, watched, changes)?;
                transaction.prepare_cached("UPDATE analysed SET until = ?1")?.execute([self.next + 60])?;
            }
            transaction.commit()?;
        }
        self.next += 60;
        Ok(())
    }

    /// What was told already: which number it has.
    fn follow(&mut self, store: &Connection, changes: &[Change]) -> Result<()> {
        for change in changes {
            match change {
                Change::Opened(found) => {
                    if let Some(number) = number_of(store, &told::key(found))? {
                        self.numbers.insert(found.number, number);
                    }
                }
                Change::Updated(_) => {}
                Change::Closed(found) => drop(self.numbers.remove(&found.number)),
            }
        }
        Ok(())
    }

    fn tell(&mut self, store: &Connection, watched: &Watched, changes: Vec<Change>) -> Result<()> {
        for change in changes {
            match change {
                Change::Opened(found) | Change::Updated(found) => self.put(store, &told::incident(&found, watched), found.number)?,
                Change::Closed(found) => {
                    let incident = told::incident(&found, watched);
                    if let Some(number) = self.numbers.remove(&found.number) {
                        ended(store, number, &incident)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes one down: anew, or what became of one that is there.
    fn put(&mut self, store: &Connection, incident: &Incident, number: u64) -> Result<()> {
        let known = match self.numbers.get(&number) {
            Some(known) => Some(*known),
            None => number_of(store, &told::key_of(incident))?,
        };
        let Incident { kind, severity, title, cause, .. } = incident;
        let stored = match known {
            Some(known) => {
                incident.update(store, known)?;
                tracing::info!(number = known, kind, severity, cause, "An incident got worse: {title}");
                known
            }
            None => {
                let new = incident.insert(store)?;
                tracing::warn!(number = new, kind, severity, cause, "An incident began: {title}");
                new
            }
        };
        self.numbers.insert(number, stored);
        Ok(())
    }

    /// The past has been lived through: what is open here and in the store is the same from now on.
    fn agree(&mut self, store: &Connection, watched: &Watched, until: i64) -> Result<()> {
        let transaction = write(store)?;
        for found in self.analyst.open() {
            if !self.numbers.contains_key(&found.number) {
                self.put(&transaction, &told::incident(&found, watched), found.number)?;
            }
        }
        for (number, incident) in Incident::open(&transaction)? {
            if !self.numbers.values().any(|known| *known == number) {
                // Nobody was there to see it end.
                let outcome = Ended::Silent.as_str().to_owned();
                ended(&transaction, number, &Incident { ended: Some(until), outcome, ..incident })?;
            }
        }
        transaction.commit()?;
        self.is_current = true;
        Ok(())
    }

    /// What is left of promises.
    fn promises(&self, store: &Connection, watched: &Watched, until: i64) -> Result<()> {
        let transaction = write(store)?;
        let int = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (route, budget) in self.analyst.budgets() {
            let slo = Slo {
                name: budget.objective.to_owned(),
                api: watched.api(route).to_owned(),
                route: route.to_string(),
                objective: budget.target,
                window_seconds: i64::from(budget.days) * Tier::Day.seconds(),
                good: int(budget.requests.saturating_sub(budget.bad)),
                total: int(budget.requests),
                updated: until,
            };
            slo.put(&transaction)?;
        }
        Slo::forget_before(&transaction, until)?;
        transaction.commit()
    }
}

fn ended(store: &Connection, number: i64, incident: &Incident) -> Result<()> {
    let Incident { kind, title, outcome, started, .. } = incident;
    let ended = incident.ended.unwrap_or(*started);
    Incident::end(store, number, ended, outcome)?;
    tracing::info!(number, kind, outcome, lasted_seconds = (ended - started).max(0), "An incident ended: {title}");
    Ok(())
}

/// The first minute to live through. Where hours end and minutes begin nothing may be missing, and nothing there twice.
pub(super) fn first(store: &Connection, until: i64) -> Result<i64> {
    let oldest: Option<i64> = store.query_row("SELECT min(at) FROM route_minute WHERE at >= ?1", [until - AGAIN], |row| row.get(0))?;
    let Some(oldest) = oldest.filter(|oldest| *oldest < until) else { return Ok(until) };
    let hour = oldest - oldest.rem_euclid(Tier::Hour.seconds());
    let next = hour + Tier::Hour.seconds();
    let requests = |tier: Tier| {
        let sql = format!("SELECT coalesce(sum(requests), 0) FROM route_{} WHERE at >= ?1 AND at < ?2", tier.as_str());
        store.query_row(&sql, [hour, next], |row| row.get::<_, i64>(0))
    };
    // Of an hour whose first minutes were deleted only its own row has all.
    let is_whole = requests(Tier::Minute)? >= requests(Tier::Hour)?;
    Ok(if is_whole || next > until { hour } else { next })
}

/// Until when incidents were told.
fn analysed(store: &Connection) -> Result<i64> {
    store.prepare_cached("SELECT until FROM analysed")?.query_row([], |row| row.get(0))
}

/// What a clock told that was ahead is no reason to be silent until then.
fn told_until(store: &Connection, until: i64) -> Result<()> {
    if analysed(store)? > until + AHEAD {
        tracing::warn!("Incidents were looked for by a clock that was ahead; they are looked for from now on");
        store.prepare_cached("UPDATE analysed SET until = ?1")?.execute([until])?;
    }
    Ok(())
}

/// The number of an open one that is about the same.
fn number_of(store: &Connection, key: &Key) -> Result<Option<i64>> {
    Ok(Incident::open(store)?.into_iter().find(|(_, incident)| told::key_of(incident) == *key).map(|(number, _)| number))
}

/// The connection is lent, and nobody else has a transaction on it.
fn write(store: &Connection) -> Result<Transaction<'_>> {
    Transaction::new_unchecked(store, TransactionBehavior::Immediate)
}
