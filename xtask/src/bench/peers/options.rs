//! What `cargo xtask bench peers` is told.

use std::path::PathBuf;
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use super::lineup::LINEUP;
use super::{Entry, Lengths, SMALL, Scenario};
use crate::bench::{Build, WARM_UP, scenario};

/// Rounds of the small scenario: its ratios are quoted to a percent.
const ROUNDS: usize = 15;
/// Rounds of every other, the fewest whose interval is one of 95 %.
const OTHER_ROUNDS: usize = 6;
/// Rounds of a first look.
const QUICK_ROUNDS: usize = 3;
/// Rounds of a brief run, of the small scenario and of every other.
const BRIEF_ROUNDS: (usize, usize) = (5, 3);

/// What to measure, and how long.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Options {
    /// The small scenario alone, few rounds.
    pub(super) quick: bool,
    /// plugway as cargo builds it.
    plain: bool,
    /// Everything, few rounds.
    brief: bool,
    /// Rows of earlier runs are forgotten.
    pub(super) fresh: bool,
    /// Scenarios by name; empty: all.
    scenarios: Vec<String>,
    /// Rows by name; empty: all.
    only: Vec<String>,
    rounds: Option<usize>,
    /// A gateway that is built already.
    pub(super) gateway: Option<PathBuf>,
}

impl Options {
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().context(format!("{word} needs a value"));
            match word {
                "--quick" => options.quick = true,
                "--plain" => options.plain = true,
                "--brief" => options.brief = true,
                "--fresh" => options.fresh = true,
                "--scenario" => options.scenarios.push(value()?.to_owned()),
                "--only" => options.only.extend(value()?.split(',').map(|name| name.trim().to_owned())),
                "--rounds" => {
                    options.rounds = Some(value()?.parse().ok().filter(|rounds| *rounds > 0).context("--rounds needs a number above 0")?)
                }
                "--gateway" => options.gateway = Some(std::path::absolute(value()?).context("--gateway")?),
                _ => return Err(Error::new(format!("`cargo xtask bench peers` has no option {word}"))),
            }
        }
        Ok(options)
    }

    /// Which plugway, where none was named.
    pub(super) fn build(&self) -> Build {
        match (self.plain, self.quick) {
            (true, _) => Build::Plain,
            (false, true) => Build::Ready,
            (false, false) => Build::Shipped,
        }
    }

    /// The rows, in the order of the table.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        if let Some(unknown) = self.only.iter().find(|name| !LINEUP.iter().any(|entry| entry.name == **name)) {
            let known = LINEUP.map(|entry| entry.name).join(", ");
            return Err(Error::new(format!("no row {unknown}; there are {known}")));
        }
        let wanted = |entry: &Entry| self.only.is_empty() || self.only.iter().any(|name| name == entry.name);
        Ok(LINEUP.into_iter().filter(wanted).collect())
    }

    /// Whether rows were chosen by name.
    pub(super) fn chosen(&self) -> bool {
        !self.only.is_empty()
    }

    /// The scenarios, in order.
    pub(super) fn scenarios(&self) -> Result<Vec<Scenario>> {
        if self.scenarios.is_empty() {
            return Ok(if self.quick { vec![SMALL] } else { scenario::ALL.into() });
        }
        self.scenarios.iter().map(|name| Scenario::named(name)).collect()
    }

    /// Whether a scenario was chosen by name.
    pub(super) fn asks_for(&self, scenario: &Scenario) -> bool {
        self.scenarios.iter().any(|name| name == scenario.name)
    }

    pub(super) fn rounds(&self, scenario: &Scenario) -> usize {
        let small = scenario.name == SMALL.name;
        let usual = match (self.quick, self.brief) {
            (true, _) => QUICK_ROUNDS,
            (false, true) => {
                if small {
                    BRIEF_ROUNDS.0
                } else {
                    BRIEF_ROUNDS.1
                }
            }
            (false, false) => {
                if small {
                    ROUNDS
                } else {
                    OTHER_ROUNDS
                }
            }
        };
        self.rounds.unwrap_or(usual)
    }

    pub(super) fn lengths(&self, scenario: &Scenario) -> Lengths {
        let paced = if self.quick || self.brief { 2 } else { 3 };
        // Thousands of connections are made first.
        let flood = if scenario.settles() { 3 } else { 1 };
        // What follows first, at full speed, warms as well.
        let warm_up = if self.quick || self.brief { Duration::ZERO } else { WARM_UP };
        Lengths { warm_up, flood: Duration::from_secs(flood), paced: Duration::from_secs(paced) }
    }

    /// What a run of less than usual is worth.
    pub(super) fn worth(&self) -> Option<&'static str> {
        (self.quick || self.brief || self.rounds.is_some_and(|rounds| rounds < OTHER_ROUNDS)).then_some(
            "a short run: with fewer than six rounds an interval is all that was seen and its confidence below 95 %, as the table says; its medians show where something is, not whether it is a percent better",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_words_everything_is_measured() {
        let options = Options::parse(&[]).unwrap();
        assert_eq!(options.entries().unwrap().len(), LINEUP.len());
        assert_eq!(options.scenarios().unwrap().len(), scenario::ALL.len());
        assert_eq!((options.rounds(&SMALL), options.rounds(&scenario::ALL[1])), (ROUNDS, OTHER_ROUNDS));
    }

    #[test]
    fn quick_is_the_small_scenario_alone() {
        let options = Options::parse(&["--quick"]).unwrap();
        let names: Vec<_> = options.scenarios().unwrap().iter().map(|scenario| scenario.name).collect();
        assert_eq!((names, options.rounds(&SMALL)), (vec!["small"], QUICK_ROUNDS));
    }

    #[test]
    fn a_brief_run_is_everything_with_few_rounds() {
        let options = Options::parse(&["--brief"]).unwrap();
        assert_eq!(options.scenarios().unwrap().len(), scenario::ALL.len());
        assert_eq!((options.rounds(&SMALL), options.rounds(&scenario::ALL[1])), BRIEF_ROUNDS);
        assert!(options.worth().is_some() && Options::default().worth().is_none());
    }

    #[test]
    fn words_choose() {
        let options = Options::parse(&["--only", "plugway, nginx", "--scenario", "http2", "--rounds", "2", "--gateway", "/g"]).unwrap();
        let names: Vec<_> = options.entries().unwrap().iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["nginx", "plugway"]);
        assert_eq!(options.scenarios().unwrap()[0].name, "http2");
        assert_eq!((options.rounds(&SMALL), options.gateway), (2, Some(PathBuf::from("/g"))));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for words in [["--fast", ""], ["--rounds", "0"], ["--rounds", "x"]] {
            assert!(Options::parse(&words).is_err(), "{words:?}");
        }
        assert!(Options::parse(&["--scenario"]).is_err());
        assert!(Options::parse(&["--scenario", "none"]).unwrap().scenarios().is_err());
        assert!(Options::parse(&["--only", "none"]).unwrap().entries().is_err());
    }
}
