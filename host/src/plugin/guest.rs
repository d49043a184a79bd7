//! What a store holds for its guest: the exchange while a hook runs, budgets, and the capabilities' state.

#![allow(unreachable_pub, reason = "the generated bindings re-export the handles")]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::batch::EndedBatch;
use super::bindings::plugway::gateway::types;
use super::budget::{CpuMeter, MemoryLimiter};
use super::computing::Place;
use super::failure::Failure;
use super::kept_from_clients::KeptFromClients;
use super::left_out::LeftOut;
use super::lines::Lines;
use super::names::Names;
use super::plan::PlanDraft;
use super::prefetch::Prefetch;
use super::reserve::Reserve;
use super::wasi::Wasi;
use crate::capability::crypto::PublicKey;
use crate::capability::keys::Keys;
use crate::capability::kv::Store;
use crate::capability::log::PluginLog;
use crate::capability::metrics::PluginMetrics;
use crate::capability::rate_limit::RateLimits;
use crate::capability::secrets::Secrets;
use crate::capability::signatures::Signatures;
use crate::config::model::Budget;
use crate::exchange::{ChangeError, ChangeLimits, Exchange, Identity, Line, LocalResponse, MOST_PARTS, Pass, Phase, Refused, Value};
use crate::http_client::{HttpClient, IncomingResponse, OutgoingRequest};
use crate::telemetry::{BudgetHits, BudgetKey};
use crate::upstream::Directory;

/// An identity the guest owns; copies share what they say.
#[derive(Debug)]
pub struct IdentityHandle {
    pub(super) identity: Arc<Identity>,
    /// The size it was to have, where that is more than it may: its parts are not kept then.
    pub(super) too_large: Option<usize>,
}
/// What the guest gives to requests that pass by its number.
#[derive(Debug)]
pub struct PassHandle(pub(super) Pass);
/// An answer the guest made and has not given away yet, or what is wrong with it.
#[derive(Debug)]
pub struct LocalResponseHandle(pub(super) Result<LocalResponse, Failure>);
/// Why the guest failed, in its own words.
#[derive(Debug)]
pub struct FailureHandle(pub(super) String);
/// A request the guest puts together.
#[derive(Debug)]
pub struct OutgoingRequestHandle(pub(super) OutgoingRequest);
/// An answer to a request of the guest's own.
#[derive(Debug)]
pub struct IncomingResponseHandle(pub(super) IncomingResponse);
/// A public key the guest owns.
#[derive(Debug)]
pub struct PublicKeyHandle(pub(super) PublicKey);

impl IdentityHandle {
    /// Within `limit` bytes. A guest can hold many, so what is too large for giving away is not kept until then either.
    pub(super) fn within(limit: usize, identity: Arc<Identity>) -> Self {
        if identity.fits(limit) {
            Self { identity, too_large: None }
        } else {
            Self { identity: Arc::default(), too_large: Some(identity.size()) }
        }
    }

    /// Whether it can say that claim, too. What it replaces makes room; in one that is too large already nothing has any.
    pub(super) fn has_room_for(&self, limit: usize, name: &str, value: &Value) -> bool {
        let old = self.identity.claim(name);
        let replaced = old.map_or(0, |old| name.len() + old.size());
        let has_part = old.is_some() || self.identity.scopes.len() + self.identity.claims.len() < MOST_PARTS;
        self.too_large.is_none() && has_part && self.identity.size() - replaced + name.len() + value.size() <= limit
    }
}

/// The data of one store. What every call of a hook touches stands together, at the beginning: an instance is called once in a request, and most of what it
/// costs then is fetching its memory from further off.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Guest {
    /// The exchange, while a hook runs.
    pub(super) exchange: Option<Box<Exchange>>,
    /// Lines it writes by their number.
    pub(super) lines: Lines,
    /// What of the request comes with a call.
    pub(super) prefetch: Prefetch,
    pub(super) phase: Phase,
    /// CPU time of a hook of a request, as its budget says: a copy, which is here already.
    pub(super) cpu_of_hook: Duration,
    pub(super) limits: ChangeLimits,
    pub(super) cpu: CpuMeter,
    pub(super) memory: MemoryLimiter,
    /// Header names it uses.
    pub(super) names: Names,
    /// The plugin's configured name: its name space for attributes, its label in logs and metrics.
    pub(super) name: Arc<str>,
    pub(super) budget: Arc<Budget>,
    /// Where the exchange goes if the store ends with it, as that of a call that missed its deadline does.
    pub(super) rescue: Option<oneshot::Sender<Box<Exchange>>>,
    /// The configuration it is given, while `configure` runs.
    pub(super) configuring: Option<u32>,
    /// Hooks that have nothing to do with a configuration.
    pub(super) left_out: LeftOut,
    /// Headers that a configuration says in place of clients.
    pub(super) kept_from_clients: KeptFromClients,
    /// The plan, while `forward` runs.
    pub(super) plan: Option<PlanDraft>,
    /// What has ended, while `on-batch` runs.
    pub(super) batch: Option<EndedBatch>,
    /// Where its call stands among those of the plugin that compute.
    pub(super) place: Place,
    pub(super) wasi: Wasi,
    pub(super) log: PluginLog,
    pub(super) metrics: PluginMetrics,
    pub(super) hits: Arc<BudgetHits>,
    /// Where granted, as what follows.
    pub(super) signatures: Option<Arc<Signatures>>,
    pub(super) store: Option<Arc<Store>>,
    pub(super) rate_limits: Option<RateLimits>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) keys: Arc<Keys>,
    /// What makes its requests, where `http-client` was granted.
    pub(super) http_client: Option<Arc<HttpClient>>,
    /// How many calls wait for them.
    pub(super) reserve: Arc<Reserve>,
    /// Answers it holds.
    pub(super) answers: usize,
    /// Requests and answers of `http-client` it holds.
    pub(super) messages: usize,
    /// Bytes of headers in passes it holds.
    pub(super) pass_bytes: usize,
    pub(super) endpoints: Arc<Directory>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let (Some(mut exchange), Some(rescue)) = (self.exchange.take(), self.rescue.take()) {
            exchange.roll_back(self.lines.all());
            // Nobody may wait for it any more.
            drop(rescue.send(exchange));
        }
    }
}

impl Guest {
    /// The exchange of the running hook.
    ///
    /// # Errors
    /// A trap when no hook with a request is running.
    pub(super) fn exchange(&mut self) -> wasmtime::Result<&mut Exchange> {
        Ok(self.exchange_and_names()?.0)
    }

    /// As [`exchange`](Self::exchange), with the header names the guest uses.
    pub(super) fn exchange_and_names(&mut self) -> wasmtime::Result<(&mut Exchange, &mut Names)> {
        match &mut self.exchange {
            Some(exchange) => Ok((exchange, &mut self.names)),
            None => Err(wasmtime::Error::msg("used `request` outside a hook that has one")),
        }
    }

    /// Makes a change to the exchange of the running hook. A hook without one may change nothing, which is no reason to end its instance.
    pub(super) fn change_exchange(
        &mut self,
        change: impl FnOnce(&mut Exchange, &mut Names) -> Result<(), types::ChangeError>,
    ) -> Result<(), types::ChangeError> {
        match &mut self.exchange {
            Some(exchange) => change(exchange, &mut self.names),
            None => Err(types::ChangeError::Immutable),
        }
    }

    /// As [`change_exchange`](Self::change_exchange), by a line of the guest's.
    pub(super) fn write_line(
        &mut self,
        number: u16,
        write: impl FnOnce(&mut Exchange, Phase, &ChangeLimits, u16, &Line) -> Result<(), ChangeError>,
    ) -> Result<(), types::ChangeError> {
        let Some(exchange) = &mut self.exchange else { return Err(types::ChangeError::Immutable) };
        let line = self.lines.get(number).ok_or_else(|| types::ChangeError::Invalid("no line has this number".into()))?;
        Ok(write(exchange, self.phase, &self.limits, number, line)?)
    }

    /// Writes a line that a filter leaves for its answer: the message is the one that it was called for.
    pub(super) fn set_line_at_end(&mut self, number: u16) -> Result<(), types::ChangeError> {
        if self.phase == Phase::Response {
            self.write_line(number, Exchange::set_response_line)
        } else {
            self.write_line(number, Exchange::set_line)
        }
    }

    /// What a call for the place with that configuration gets of the request.
    #[inline]
    pub(super) fn prefetched(&self, config: u32) -> types::Prefetched {
        self.exchange.as_ref().map_or(types::Prefetched::Unknown, |exchange| self.prefetch.of(config, &exchange.request))
    }

    /// Counts changes that were refused for their size.
    pub(super) fn count_refused(&self, refused: Refused) {
        if refused != Refused::default() {
            self.hits.count(BudgetKey::MaxHeaders, refused.headers.into());
            self.hits.count(BudgetKey::MaxHeaderBytes, refused.header_bytes.into());
            self.hits.count(BudgetKey::MaxAttributeBytes, refused.attribute_bytes.into());
        }
    }

    /// What the running `on-batch` is about.
    pub(super) fn batch(&self) -> wasmtime::Result<&EndedBatch> {
        self.batch.as_ref().ok_or_else(|| wasmtime::Error::msg("used `batch` outside `on-batch`"))
    }

    /// The plan of the running `forward`.
    pub(super) fn plan(&mut self) -> wasmtime::Result<&mut PlanDraft> {
        self.plan.as_mut().ok_or_else(|| wasmtime::Error::msg("used `forward-plan` outside `forward`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_has_the_room_of_what_it_replaces_and_none_where_too_much_was_said() {
        let number = Value::Integer(1);
        let mut identity = Identity { subject: "ann".to_owned(), ..Identity::default() };
        identity.set_claim("a".to_owned(), number.clone());
        let held = IdentityHandle::within(12, Arc::new(identity.clone()));
        assert!(held.has_room_for(12, "a", &number) && !held.has_room_for(12, "b", &number));
        // Its parts are not kept, so that it looks as if there were room.
        let too_large = IdentityHandle::within(11, Arc::new(identity));
        assert!(too_large.too_large == Some(12) && !too_large.has_room_for(11, "b", &Value::Boolean(true)));
    }

    #[test]
    fn of_parts_that_hold_nothing_there_is_an_end_too() {
        let scopes = |many: usize| Arc::new(Identity { scopes: vec![String::new(); many], ..Identity::default() });
        let held = IdentityHandle::within(1 << 14, scopes(MOST_PARTS));
        assert!(held.too_large.is_none() && !held.has_room_for(1 << 14, "a", &Value::Integer(1)));
        assert!(IdentityHandle::within(1 << 14, scopes(MOST_PARTS + 1)).too_large.is_some());
    }
}
