//! `canary` of a plugin, and `canary_by`.

use http::HeaderName;

use super::Compiler;
use crate::config::document::At;
use crate::config::model::{Canary, CanaryBy, Grants, Share, Source, Trial};
use crate::config::schema::{self, CanaryTable};
use crate::config::{defaults, units};

const SHADOW: &str = "shadow";

impl Compiler<'_> {
    /// How a new version of a plugin begins; `None` where that is wrong.
    pub(super) fn canary(&mut self, at: &At, raw: schema::Canary, source: &Source, grants: &Grants) -> Option<Canary> {
        let (share_at, raw) = match raw {
            schema::Canary::Share(share) => {
                (at.clone(), CanaryTable { share, max_failures: None, min_failures: None, promote_after: None })
            }
            schema::Canary::Table(table) => (at.key("share"), table),
        };
        if matches!(source, Source::Builtin(name) if !name.is_empty()) {
            self.error(at, "a built-in plugin is part of this program and has one version", "remove it, or name a file as `source`");
        }
        let trial = match raw.share.as_str() {
            SHADOW => Trial::Shadow,
            share => Trial::Share(self.part(&share_at, share)?),
        };
        let at_most =
            raw.max_failures.map_or(Some(Share(defaults::CANARY_MAX_FAILURES)), |share| self.part(&at.key("max_failures"), &share));
        let promote_at = at.key("promote_after");
        if trial == Trial::Shadow && raw.promote_after.is_some() {
            let help = "give it a share first, or remove `promote_after`";
            self.error(&promote_at, "a version in shadow has answered nobody yet, so time says nothing of it", help);
        }
        if trial == Trial::Shadow && grants.http_client.is_some() {
            let help = "give it a share such as \"1%\", or remove the grant";
            self.error(&share_at, "a version in shadow must do nothing, and with `http-client` it would have others do it", help);
        }
        Some(Canary {
            trial,
            max_failures: at_most?,
            min_failures: raw.min_failures.unwrap_or(defaults::CANARY_MIN_FAILURES),
            // What stands behind the default is an error, so nothing is ever promoted by it.
            promote_after: raw.promote_after.map(|span| self.span(&promote_at, Some(span), defaults::DRAIN)),
        })
    }

    /// A part of them: more than none and less than all.
    fn part(&mut self, at: &At, text: &str) -> Option<Share> {
        let part = match units::share(text).map(Share) {
            Ok(Share(0)) => Err("a share of nothing would never be met".to_owned()),
            Ok(Share::ALL) => Err(format!("`{text}` is not less than all")),
            part => part,
        };
        part.map_err(|message| self.error(at, message, "write \"0.0001%\" to \"99.9999%\", such as \"5%\"")).ok()
    }

    /// What tells clients apart.
    pub(super) fn canary_by(&mut self, at: &At, raw: schema::CanaryBy) -> CanaryBy {
        // A cookie's name is a token, as a header's is (RFC 6265, section 4.1.1), but in it capitals count.
        let mut token = |key: &str, name: &str| {
            let token = HeaderName::try_from(name).ok();
            if token.is_none() {
                self.error(&at.key(key), format!("{name:?} is no name of a {key}"), "write letters, digits and `-`, such as \"x-user\"");
            }
            token
        };
        let header = raw.header.and_then(|name| token("header", &name));
        let cookie = raw.cookie.filter(|name| token("cookie", name).is_some());
        if let Some(name) = &header {
            self.must_arrive(&at.key("header"), name);
        }
        CanaryBy { header, cookie }
    }
}
