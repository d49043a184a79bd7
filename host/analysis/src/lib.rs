//! Finds incidents in what a gateway measured: error-rate and latency steps, an endpoint worse than its siblings, a plugin version
//! that made things slower or failing, a consumer whose traffic jumps, certificates about to end, error budgets that burn.
//!
//! The crate does no I/O and knows no clock: it is given minutes in their order and answers what opened, changed and closed.
//!
//! ```
//! use plugway_analysis::{Analyst, Certificate, LogHistogram, Minute, MinuteData, Topology};
//!
//! let mut analyst = Analyst::<LogHistogram>::new(Topology::default());
//! let day = 24 * 60;
//! let certificate = Certificate { name: "web".into(), not_before: Minute(0), not_after: Minute(90 * day) };
//! let mut minute = |at| analyst.minute(&MinuteData { certificates: vec![certificate.clone()], ..MinuteData::at(Minute(at)) });
//! assert!(minute(10 * day).is_empty());
//! assert_eq!(minute(80 * day).len(), 1, "it ends in ten days");
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`minute`](MinuteData) | what is measured, one minute at a time |
//! | `history`, `reading` | what a key did before: minutes, hours, four weeks |
//! | `compare` | how a value stands to the hour before and to its season |
//! | `statistics` | robust centre and spread, tests of shares, thresholds for many tests |
//! | `strata`, `mixture`, `contrast`, `beside` | an endpoint beside its siblings, in its own mix of routes |
//! | `step`, `sibling`, `consumer`, `burn`, `certificate` | one detector each |
//! | `ledger` | opens, updates and closes incidents, with hysteresis |
//! | `watched` | all that is known of one route or plugin |
//! | [`analyst`](Analyst) | all of it, and the likely cause |

mod analyst;
mod beside;
mod burn;
mod cause;
mod certificate;
mod compare;
mod consumer;
mod contrast;
mod history;
mod incident;
mod ledger;
mod minute;
mod mixture;
mod reading;
mod sibling;
mod sketch;
mod statistics;
mod step;
mod strata;
mod swaps;
mod watched;

pub use analyst::{Analyst, RouteFacts, Topology};
pub use burn::{Alert, Budget, LatencyObjective, Slo, WINDOWS};
pub use incident::{Cause, Change, Ended, Evidence, Incident, Kind, Severity, Subject, Unit};
pub use minute::{Blame, Certificate, Errors, Minute, MinuteData, Traffic};
pub use reading::{Hour, Worst};
pub use sketch::{LogHistogram, Sketch};
