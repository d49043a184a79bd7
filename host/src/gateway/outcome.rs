//! What asked for a reload, and how it ended.

use http::StatusCode;
use serde_json::{Value, json};

use super::rejection::Rejection;
use crate::config::Problems;
use crate::config::defaults::LIVE_GENERATIONS;
use crate::server::admin::Answer;

/// What asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Files changed.
    Files,
    /// SIGHUP.
    Signal,
    /// `POST /reload`
    Admin,
    /// `POST /plugins/NAME/rollback`
    Rollback,
    /// `POST /plugins/NAME/promote`
    Promote,
    /// A canary did well for long enough, or failed too often.
    Canary,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Every worker serves by a new generation.
    Swapped {
        /// Its number.
        generation: u64,
        /// What is different, for people.
        changes: Vec<String>,
    },
    /// There was nothing new.
    Unchanged {
        /// What serves.
        generation: u64,
    },
    /// What served before serves on.
    Rejected {
        /// Everything that was wrong.
        problems: Problems,
        /// The files to blame.
        rejections: Vec<Rejection>,
    },
    /// There is nothing to go back to: why.
    NoVersion(String),
    /// There is no canary to promote: why.
    NoCanary(String),
    /// A file is not all there yet.
    NotWhole,
    /// Too many generations are alive.
    Full,
}

impl Cause {
    /// Whether the gateway itself came upon it, and comes again.
    pub(super) fn is_own(self) -> bool {
        matches!(self, Self::Files | Self::Canary)
    }

    /// As it stands in logs and status.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Signal => "SIGHUP",
            Self::Admin => "admin",
            Self::Rollback => "rollback",
            Self::Promote => "promote",
            Self::Canary => "canary",
        }
    }
}

impl Outcome {
    /// As status and the admin listener show it.
    pub(super) fn shown(&self) -> Value {
        match self {
            Self::Swapped { generation, changes } => json!({ "result": "swapped", "generation": generation, "changes": changes }),
            Self::Unchanged { generation } => json!({ "result": "unchanged", "generation": generation }),
            Self::Rejected { rejections, .. } => {
                json!({ "result": "rejected", "rejected": rejections.iter().map(Rejection::shown).collect::<Vec<_>>() })
            }
            Self::NotWhole => json!({ "result": "waiting" }),
            Self::Full | Self::NoVersion(_) | Self::NoCanary(_) => json!({ "result": "refused" }),
        }
    }

    /// What whoever asked is told.
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Swapped { .. } | Self::Unchanged { .. } | Self::NotWhole => Answer { status: StatusCode::OK, body: self.shown() },
            Self::Rejected { problems, rejections } => {
                let body = json!({
                    "title": "the reload was rejected; what served before serves on",
                    "detail": problems.to_string(),
                    "rejected": rejections.iter().map(Rejection::shown).collect::<Vec<_>>(),
                });
                Answer::problem(StatusCode::UNPROCESSABLE_ENTITY, body)
            }
            Self::NoVersion(why) => {
                Answer::problem(StatusCode::NOT_FOUND, json!({ "title": "there is nothing to go back to", "detail": why }))
            }
            Self::NoCanary(why) => Answer::problem(StatusCode::NOT_FOUND, json!({ "title": "there is nothing to promote", "detail": why })),
            Self::Full => {
                let detail = format!(
                    "{LIVE_GENERATIONS} generations are alive, which is as many as may be: requests in flight keep the earlier ones. \
                     Try again when some of them have ended."
                );
                Answer::problem(StatusCode::SERVICE_UNAVAILABLE, json!({ "title": "too many generations are alive", "detail": detail }))
            }
        }
    }
}
