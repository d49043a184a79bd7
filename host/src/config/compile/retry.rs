//! `retry_on` and `max_attempts`: of an upstream, and of routes, which may only narrow them.

use super::{Compiler, items};
use crate::config::document::At;
use crate::config::model::{RetryOn, Upstream};
use crate::config::schema::List;

impl Compiler<'_> {
    pub(super) fn retry_on(&mut self, at: &At, raw: List<String>) -> RetryOn {
        let mut all = RetryOn::NOTHING;
        for (at, word) in items(raw, at) {
            match RetryOn::parse(&word) {
                Some(one) if all.or(one) == all => self.error(&at, format!("{word:?} is listed twice"), "remove one"),
                Some(one) => all = all.or(one),
                None => self.error(
                    &at,
                    format!("{word:?} is nothing that another attempt follows"),
                    "write `connect`, `reset`, `timeout`, or a status from `500` to `599`",
                ),
            }
        }
        all
    }

    /// What a route narrows. `upstream` is `None` where it is wrong or missing itself.
    pub(super) fn narrowed(
        &mut self,
        at: &At,
        attempts: Option<u32>,
        words: Option<List<String>>,
        upstream: Option<&Upstream>,
    ) -> Option<RetryOn> {
        let most = upstream.map(|upstream| upstream.max_attempts);
        if let (Some(own), Some(most)) = (attempts, most)
            && own > most
        {
            let help = format!("write {most} at most, or raise `max_attempts` of the upstream");
            self.error(&at.key("max_attempts"), format!("{own} attempts are more than the {most} of the upstream"), help);
        }
        let retry_at = at.key("retry_on");
        let own = words.map(|words| self.retry_on(&retry_at, words));
        if let (Some(own), Some(upstream)) = (own, upstream)
            && own.and(upstream.retry_on) != own
        {
            let message = format!("the upstream is not tried again for all of {own:?}, only for {:?}", upstream.retry_on);
            self.error(&retry_at, message, "leave out what the upstream does not have, or add it to `retry_on` there");
        }
        own
    }
}
