//! What becomes of a reload that does not work as a whole: what is known to be bad is left out, and what is to blame is remembered and said.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::{Read, Reloader};
use crate::config::Problems;
use crate::gateway::outcome::{Cause, Outcome};
use crate::gateway::rejection::Rejection;
use crate::gateway::stock::{Scope, Stock};

impl Reloader {
    /// Not everything that is new can be served. What was known to be bad is left out, since it must not keep back the rest, and where the
    /// configuration itself can not be served what serves goes on by the rest; if that is not it, the reload is rejected.
    pub(super) fn fall_back(&mut self, read: &Read, stock: &Stock, problems: Problems, cause: Cause, began: Instant) -> Outcome {
        let (mut rejections, is_config) = self.rejections(read, stock, &problems, &BTreeSet::new());
        let held = self.catalogue.held(stock);
        let held_config = self.catalogue.is_rejected(&read.digest);
        if !held_config && !is_config {
            self.catalogue.configuration_is_good();
        }
        let newest = read.parsed.as_ref().ok().filter(|_| !held_config && !held.is_empty());
        let serving = (held_config || !held.is_empty()).then(|| Arc::clone(&self.config));
        for config in newest.into_iter().chain(&serving) {
            let is_newest = newest.is_some_and(|newest| Arc::ptr_eq(newest, config));
            let stock = self.catalogue.read(config);
            match self.make(config, stock.supplies(config, Scope::Used, &held)) {
                Ok(made) if is_newest => {
                    // What was wrong was what is left out, and that is known.
                    self.catalogue.configuration_is_good();
                    match made {
                        Some(ready) => return self.install(config, ready, &stock, cause, began),
                        None => break,
                    }
                }
                Ok(Some(ready)) => {
                    self.say(cause, &rejections);
                    return self.install(config, ready, &stock, cause, began);
                }
                Ok(None) => break,
                Err(problems) => {
                    let (mut more, _) = self.rejections(read, &stock, &problems, &held);
                    // What serves is no fault of the file.
                    more.retain(|rejection| is_newest || rejection.plugin.is_some());
                    more.retain(|rejection| rejections.iter().all(|known| known.plugin != rejection.plugin));
                    rejections.extend(more);
                }
            }
        }
        // Nothing else is new, and this was said before.
        if cause == Cause::Files && rejections.iter().all(|rejection| self.catalogue.was_said(rejection)) {
            return Outcome::Unchanged { generation: self.generation() };
        }
        for rejection in &rejections {
            self.reject(cause, rejection);
        }
        Outcome::Rejected { problems, rejections }
    }

    /// Says what cannot be served while something else is going to be, unless that was said before.
    fn say(&mut self, cause: Cause, rejections: &[Rejection]) {
        for rejection in rejections {
            if !self.catalogue.was_said(rejection) {
                self.reject(cause, rejection);
            }
        }
    }

    fn reject(&mut self, cause: Cause, rejection: &Rejection) {
        tracing::warn!(
            cause = cause.as_str(),
            plugin = rejection.plugin,
            file = %rejection.file.display(),
            digest = rejection.digest,
            why = rejection.why,
            error = rejection.reason,
            "A reload was rejected; what served before serves on"
        );
        self.catalogue.reject(rejection.clone());
    }

    /// Which files are to blame, those that are left out aside, and whether the configuration is one of them.
    fn rejections(&self, read: &Read, stock: &Stock, problems: &Problems, held: &BTreeSet<String>) -> (Vec<Rejection>, bool) {
        let mut rejections: Vec<Rejection> = Vec::new();
        let mut is_config = false;
        for problem in problems.iter() {
            let blamed = self.catalogue.blame(stock, problem);
            match blamed.filter(|rejection| rejection.plugin.as_ref().is_none_or(|plugin| !held.contains(plugin))) {
                Some(rejection) if rejections.iter().any(|known| known.plugin == rejection.plugin) => {}
                Some(rejection) => rejections.push(rejection),
                None => is_config = true,
            }
        }
        if is_config || rejections.is_empty() {
            let text = problems.to_string().trim_end().to_owned();
            rejections.push(Rejection::new(None, &self.config.file, &read.digest, "configuration", text));
        }
        (rejections, is_config)
    }
}
