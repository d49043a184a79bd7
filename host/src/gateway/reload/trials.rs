//! Going back to a version, and going on to one that is tried: by order, or because of how it does.

use super::Reloader;
use crate::gateway::canary::Verdict;
use crate::gateway::outcome::{Cause, Outcome};
use crate::gateway::versions::Rollback;

impl Reloader {
    /// Has an earlier version of a plugin serve until its file changes. Where that cannot be, nothing is different.
    pub(super) fn roll_back(&mut self, plugin: &str, digest: Option<&str>) -> Outcome {
        let rollback = match self.catalogue.earlier(&self.config, plugin, digest) {
            Ok(rollback) => rollback,
            Err(why) => return Outcome::NoVersion(why),
        };
        // To go to what is tried is to promote it.
        match self.catalogue.canaries.get(plugin) {
            Some(canary) if canary.component.digest == rollback.digest => self.promote(plugin, Cause::Rollback),
            _ => self.go_back(plugin, &rollback, Cause::Rollback),
        }
    }

    fn go_back(&mut self, plugin: &str, rollback: &Rollback, cause: Cause) -> Outcome {
        let (before, from) = (self.catalogue.versions.rollback(plugin), self.catalogue.serving_digest(plugin));
        // What the file holds serves as long as the file holds it.
        let next = Some(rollback).filter(|rollback| rollback.digest != rollback.instead_of);
        if let Err(error) = self.catalogue.versions.set_rollback(plugin, next) {
            return Outcome::NoVersion(format!("it could not be remembered: {error}"));
        }
        // The file's version by its digest: an operator's word that it need not be tried.
        self.catalogue.promote(next.is_none().then_some((plugin, &rollback.digest)));
        let outcome = self.reload(cause, true);
        self.catalogue.promote(None);
        if let Some(from) = from {
            self.catalogue.has_gone_back(plugin, &from);
        }
        if matches!(outcome, Outcome::Rejected { .. } | Outcome::Full) {
            if let Err(error) = self.catalogue.versions.set_rollback(plugin, before.as_ref()) {
                tracing::error!(plugin, %error, "A rollback that was rejected could not be taken back; it is tried again at the next start");
            }
            self.catalogue.forget_rejection(plugin);
            let stock = self.catalogue.read(&self.config);
            self.show_rejections();
            self.show(&stock);
        }
        outcome
    }

    /// Has a plugin's canary serve everybody.
    pub(super) fn promote(&mut self, plugin: &str, cause: Cause) -> Outcome {
        let digest = match self.catalogue.canary(&self.config, plugin) {
            Ok(digest) => digest,
            Err(why) => return Outcome::NoCanary(why),
        };
        self.catalogue.promote(Some((plugin, &digest)));
        let outcome = self.reload(cause, true);
        self.catalogue.promote(None);
        outcome
    }

    /// Takes back canaries that fail too often, and promotes those whose time has come.
    pub(super) fn judge_canaries(&mut self) {
        let settings = |name: &str| self.config.plugins.iter().find(|plugin| plugin.name == name)?.canary.clone();
        let canaries = self.catalogue.canaries.iter();
        let verdicts: Vec<_> = canaries
            .filter_map(|(name, canary)| {
                let verdict = canary.verdict(name, &settings(name)?, &self.telemetry);
                (verdict != Verdict::GoOn).then(|| (name.clone(), canary.component.digest.clone(), verdict))
            })
            .collect();
        for (plugin, digest, verdict) in verdicts {
            let outcome = match verdict {
                Verdict::GoOn => continue,
                Verdict::Promote => self.promote(&plugin, Cause::Canary),
                Verdict::Return(reason) => match self.catalogue.earlier(&self.config, &plugin, None) {
                    Ok(rollback) => {
                        let instead_of = digest.clone();
                        let outcome =
                            self.go_back(&plugin, &Rollback { instead_of, reason: Some(reason.clone()), ..rollback }, Cause::Canary);
                        if matches!(outcome, Outcome::Swapped { .. }) {
                            tracing::warn!(plugin, digest, error = reason, "A canary was taken back; what served before serves everybody");
                        }
                        outcome
                    }
                    Err(why) => Outcome::NoVersion(why),
                },
            };
            // It is tried again at the next look.
            if !matches!(outcome, Outcome::Swapped { .. } | Outcome::Unchanged { .. }) {
                tracing::debug!(plugin, digest, outcome = %outcome.shown(), "A canary could not be ended yet");
            }
        }
    }
}
