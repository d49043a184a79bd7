//! Where the sessions of a place are: each in its browser's cookie, sealed, or in `kv`, where the cookie has only the name of one. What is in
//! `kv` ends for everybody when it is ended, and never leaves the gateway; what is in cookies outlives the gateway.

use std::time::Duration;

use plugway_sdk::{KvError, Request, kv};
use serde::{Deserialize, Serialize};

use super::random_text;
use super::session::{Cookie, Session};

/// As written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    #[default]
    Cookie,
    Kv,
}

/// Those of one place.
#[derive(Debug)]
pub(super) struct Sessions {
    cookie: Cookie,
    place: Place,
}

/// A session that was found.
pub(super) struct Found {
    pub(super) session: Session,
    /// Its name, where it is in `kv`.
    pub(super) name: Option<String>,
}

/// What a cookie holds where the session is in `kv`. It is sealed as well: nobody can try names.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
}

impl Sessions {
    pub(super) fn new(cookie: Cookie, place: Place) -> Self {
        Self { cookie, place }
    }

    /// That of a request.
    pub(super) fn find(&self, request: &Request<'_>) -> Option<Found> {
        match self.place {
            Place::Cookie => self.cookie.read(request).map(|session| Found { session, name: None }),
            Place::Kv => {
                let Name { name } = self.cookie.read(request)?;
                let session = serde_json::from_slice(&kv::get(&key(&name)).ok()??).ok()?;
                Some(Found { session, name: Some(name) })
            }
        }
    }

    /// Keeps one for so long, in the place of the one of that name, or as a new one with a new name. Lines of `Set-Cookie` that go with it.
    pub(super) fn keep(&self, name: Option<String>, session: &Session, time: Duration) -> Result<Vec<String>, String> {
        if self.place == Place::Cookie {
            return self.cookie.set(session, time);
        }
        let text = serde_json::to_vec(session).map_err(|error| error.to_string())?;
        let Some(name) = name else {
            let name = random_text(32);
            kv::set(&key(&name), text, Some(time)).map_err(|error| error.to_string())?;
            return self.cookie.set(&Name { name }, time);
        };
        // One that was ended meanwhile does not come back, and one that was renewed meanwhile has what is newer.
        let Some(before) = kv::get(&key(&name)).map_err(|error| error.to_string())? else { return Ok(self.cookie.clear()) };
        match kv::compare_and_swap(&key(&name), Some(&before), Some(&text), Some(time)) {
            Ok(()) | Err(KvError::Mismatch) => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Ends that of a request. Lines that take its cookie away.
    pub(super) fn end(&self, request: &Request<'_>) -> Vec<String> {
        if let Some(name) = self.find(request).and_then(|found| found.name) {
            // One that is gone already has ended.
            let _ = kv::delete(&key(&name));
        }
        self.cookie.clear()
    }

    /// Whether a cookie of this name is one of its own.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.cookie.is(name)
    }
}

fn key(name: &str) -> String {
    format!("session:{name}")
}
