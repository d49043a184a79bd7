//! A canary in the shadow of the version that serves: called right after it, with the exchange as that one got it, and compared. What it
//! decides and changes ends here. What it would not be asked once it serves it is not asked here: what it said of itself is compared. It costs
//! a request a copy of its head and at most the plugin's `cpu` for each hook, and a canary that keeps failing is left alone by its own breaker.

use std::rc::Rc;

use super::called::{self, Holds};
use super::{Place, Plugins, Shadow};
use crate::exchange::{Exchange, LocalResponse};
use crate::fault::Fault;
use crate::plugin::{Decision, Flow, Forwarded, Hook, PlanDraft, Routed, Slot, Stands};
use crate::telemetry::Comparison;

/// What a canary is shown, for one hook.
pub(super) struct Shadowed<'p> {
    plugins: &'p Plugins,
    shadow: Shadow,
    before: Box<Exchange>,
}

impl Place {
    /// What the canary beside this place is to be shown; nothing, and nothing is done, where there is none.
    pub(super) fn shadowed<'p>(&self, plugins: &'p Plugins, exchange: &Exchange) -> Option<Shadowed<'p>> {
        self.shadow.map(|shadow| Shadowed { plugins, shadow, before: exchange.copy() })
    }
}

impl Shadowed<'_> {
    /// Holds a canary's `authorize` against what came of the serving version's.
    pub(super) async fn authorize<H: Holds>(self, holds: &Rc<H>, after: &Exchange, served: &Result<Decision, Fault>) {
        let Self { plugins, shadow, before } = self;
        let (own, decision) = called::authorize(holds, (shadow.slot, shadow.config), before).await;
        let agreed = decision.as_ref().ok().map(|decision| decisions((after, served), (&own, decision)));
        plugins.at(shadow.slot).iter().for_each(|slot| count(slot, Hook::Authorizer, (after, &own), agreed));
    }

    /// The same for `on-request`.
    pub(super) async fn on_request<H: Holds>(self, holds: &Rc<H>, after: &Exchange, served: &Result<Flow, Fault>) {
        let Self { plugins, shadow, before } = self;
        let (own, flow) = match shadow.left_out(plugins, Hook::RequestFilter) {
            Some(flow) => (before, Ok(flow)),
            None => called::on_request(holds, (shadow.slot, shadow.config), before).await,
        };
        let agreed = flow.as_ref().ok().map(|flow| flows(served, flow));
        plugins.at(shadow.slot).iter().for_each(|slot| count(slot, Hook::RequestFilter, (after, &own), agreed));
    }

    /// The same for `on-response`.
    pub(super) async fn on_response<H: Holds>(self, holds: &Rc<H>, after: &Exchange, served: &Result<Flow, Fault>) {
        let Self { plugins, shadow, before } = self;
        let (own, flow) = match shadow.left_out(plugins, Hook::ResponseFilter) {
            Some(flow) => (before, Ok(flow)),
            None => called::on_response(holds, (shadow.slot, shadow.config), before).await,
        };
        let agreed = flow.as_ref().ok().map(|flow| flows(served, flow));
        plugins.at(shadow.slot).iter().for_each(|slot| count(slot, Hook::ResponseFilter, (after, &own), agreed));
    }

    /// The same for `route`.
    pub(super) fn route(self, after: &Exchange, served: &Result<Routed, Fault>) {
        self.compare(Hook::Router, after, |slot, config, before| {
            let (back, routed) = slot.route(config, before);
            (back, routed.ok().map(|routed| either(*served == Ok(routed))))
        });
    }

    /// The same for `forward`.
    pub(super) fn forward(self, after: &Exchange, endpoint: u64, plan: PlanDraft, served: &Result<Forwarded, Fault>) {
        self.compare(Hook::Forwarder, after, |slot, config, before| {
            let (back, forwarded) = match slot.kept_plan(config, endpoint) {
                Some(kept) => {
                    slot.cells().called(Hook::Forwarder as usize);
                    (before, Ok(Forwarded::Kept(kept)))
                }
                None => slot.forward(config, before, endpoint, plan),
            };
            let agreed = forwarded.ok().map(|forwarded| match (served.as_ref().map(Forwarded::plan), forwarded.plan()) {
                (Ok(served), own) if served == own => Comparison::Agree,
                (Ok(Ok(_)), Ok(_)) => Comparison::Changes,
                _ => Comparison::Differ,
            });
            (back, agreed)
        });
    }

    fn compare(
        self,
        hook: Hook,
        after: &Exchange,
        call: impl FnOnce(&mut Slot, u32, Box<Exchange>) -> (Box<Exchange>, Option<Comparison>),
    ) {
        let Self { plugins, shadow: Shadow { slot, config }, before } = self;
        let Ok(mut slot) = plugins.at(slot) else { return };
        let (own, compared) = call(&mut slot, config, before);
        count(&slot, hook, (after, &own), compared);
    }
}

impl Shadow {
    /// What comes of a filter that will not be called once it serves: as good as called.
    fn left_out(self, plugins: &Plugins, hook: Hook) -> Option<Flow> {
        if !plugins.leaves_out(hook, (self.slot, self.config), Stands::Behind) {
            return None;
        }
        plugins.at(self.slot).iter().for_each(|slot| slot.cells().called(hook as usize));
        Some(Flow::Next)
    }
}

/// Counts what comparing came to; `None` where the canary failed.
fn count(slot: &Slot, hook: Hook, (after, own): (&Exchange, &Exchange), compared: Option<Comparison>) {
    let compared = match compared {
        None => Comparison::Failed,
        Some(Comparison::Agree) if !own.is_like(after) => Comparison::Changes,
        Some(compared) => compared,
    };
    slot.cells().compared(hook as usize, compared);
}

fn decisions((after, served): (&Exchange, &Result<Decision, Fault>), (own, decision): (&Exchange, &Decision)) -> Comparison {
    let subject = |exchange: &Exchange| exchange.identity.as_ref().map(|identity| (identity.issuer.clone(), identity.subject.clone()));
    match (served, decision) {
        (Ok(Decision::Allow), Decision::Allow) => either(subject(after) == subject(own)),
        (Ok(Decision::Abstain), Decision::Abstain) | (Ok(Decision::Unavailable(_)), Decision::Unavailable(_)) => Comparison::Agree,
        (Ok(Decision::Respond(served)), Decision::Respond(own)) => answers(served, own),
        _ => Comparison::Differ,
    }
}

fn flows(served: &Result<Flow, Fault>, own: &Flow) -> Comparison {
    match (served, own) {
        (Ok(Flow::Next), Flow::Next) => Comparison::Agree,
        (Ok(Flow::Respond(served)), Flow::Respond(own)) => answers(served, own),
        _ => Comparison::Differ,
    }
}

/// An answer is decided by its status; what else is in it may be made anew each time.
fn answers(served: &LocalResponse, own: &LocalResponse) -> Comparison {
    match served.status == own.status {
        true if served == own => Comparison::Agree,
        true => Comparison::Changes,
        false => Comparison::Differ,
    }
}

fn either(same: bool) -> Comparison {
    if same { Comparison::Agree } else { Comparison::Differ }
}
