//! What a store holds for its guest: the exchange while a hook runs, budgets, and the capabilities' state.

#![allow(unreachable_pub, reason = "the generated bindings re-export the handles")]

use std::sync::Arc;

use super::budget::{CpuMeter, MemoryLimiter};
use super::names::Names;
use super::plan::PlanDraft;
use super::wasi::Wasi;
use crate::capability::crypto::PublicKey;
use crate::capability::log::PluginLog;
use crate::capability::metrics::PluginMetrics;
use crate::config::model::Budget;
use crate::exchange::{ChangeLimits, Exchange, Identity, Phase};
use crate::upstream::Directory;

/// A guest's handle to the request of the hook that is running. There is only ever one, so it needs no table: the
/// handle's number is fixed and the exchange in the store is what it means.
#[derive(Debug)]
pub struct RequestHandle;
/// As [`RequestHandle`], for the response.
#[derive(Debug)]
pub struct ResponseHandle;
/// As [`RequestHandle`], for the attempt.
#[derive(Debug)]
pub struct AttemptHandle;
/// As [`RequestHandle`], for the forward plan.
#[derive(Debug)]
pub struct PlanHandle;
/// An identity the guest owns.
#[derive(Debug)]
pub struct IdentityHandle(pub(super) Identity);
/// A public key the guest owns.
#[derive(Debug)]
pub struct PublicKeyHandle(pub(super) PublicKey);

/// The number of every handle without a table.
pub(super) const ONLY: u32 = 0;

/// The data of one store.
#[derive(Debug)]
pub(super) struct Guest {
    /// The plugin's configured name: its name space for attributes, its label in logs and metrics.
    pub(super) name: Arc<str>,
    pub(super) budget: Arc<Budget>,
    pub(super) limits: ChangeLimits,
    pub(super) phase: Phase,
    /// The exchange, while a hook runs.
    pub(super) exchange: Option<Box<Exchange>>,
    /// The plan, while `forward` runs.
    pub(super) plan: Option<PlanDraft>,
    pub(super) cpu: CpuMeter,
    pub(super) memory: MemoryLimiter,
    pub(super) wasi: Wasi,
    pub(super) log: PluginLog,
    pub(super) metrics: PluginMetrics,
    /// Header names it has written.
    pub(super) names: Names,
    pub(super) endpoints: Arc<Directory>,
}

impl Guest {
    /// The exchange of the running hook.
    ///
    /// # Errors
    /// A trap when no hook is running: the guest kept a handle it was only lent.
    pub(super) fn exchange(&mut self) -> wasmtime::Result<&mut Exchange> {
        self.exchange.as_deref_mut().ok_or_else(|| wasmtime::Error::msg("used a request outside the hook it was lent to"))
    }

    /// The plan of the running `forward`.
    pub(super) fn plan(&mut self) -> wasmtime::Result<&mut PlanDraft> {
        self.plan.as_mut().ok_or_else(|| wasmtime::Error::msg("used a forward plan outside the hook it was lent to"))
    }
}
