//! Calls that may wait, from their beginning to their end.
//!
//! A call has an instance to itself and owns it, the exchange with it. It is polled once where it is made: one that does not wait
//! is over then and has cost no more than its own stack. One that waits becomes a task of its own, which runs to its end or its
//! deadline whether or not somebody still waits for it: who leaves must not leave half a change behind.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wasmtime::Store;

use super::budget::InTurns;
use super::computing::State;
use super::failure::Failure;
use super::guest::Guest;
use super::hooks::Hooks;
use super::instance::Instance;
use super::nursery::Coming;
use super::pool::Lent;
use super::rights::Hook;
use super::slot::{Called, NotNow, Slot};
use crate::exchange::{Exchange, Phase};

/// Finds a slot again at every step of a call that waits, and keeps it alive meanwhile.
pub trait Holder: Clone + 'static {
    /// Uses it for a moment.
    fn with<R>(&self, take: impl FnOnce(&mut Slot) -> R) -> R;
}

type Ended<R> = (Option<Box<Exchange>>, Result<R, Failure>);
type Running<R> = InTurns<Pin<Box<dyn Future<Output = (Instance, Option<Box<Exchange>>, Result<R, Failure>)>>>>;
/// What is called, and the moment if its time is taken.
type Begun = ((Hook, u32), Option<Instant>);
type Rescued = Option<oneshot::Receiver<Box<Exchange>>>;

/// Calls a hook with an exchange and checks what it answered. The exchange comes back, with the hook's changes or as it was before.
pub(super) async fn call<H: Holder, A: 'static, R: 'static>(
    holder: H,
    key: (Hook, u32),
    phase: Phase,
    exchange: Box<Exchange>,
    call: impl AsyncFnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<A> + 'static,
    check: impl FnOnce(A, &mut Store<Guest>) -> Result<R, Failure> + 'static,
) -> Called<R> {
    let cpu = holder.with(|slot| slot.recipe().budget.cpu);
    match run(holder, key, (phase, cpu), Some(exchange), call, check).await {
        (Some(exchange), answered) => (exchange, answered.map_err(|failure| failure.fault())),
        // Nothing takes the exchange out of a store but the call that put it there.
        (None, _) => unreachable!("an exchange comes back from the call it was made for"),
    }
}

/// Calls a hook, with an exchange or without.
pub(super) async fn run<H: Holder, A: 'static, R: 'static>(
    holder: H,
    key: (Hook, u32),
    limits: (Phase, Duration),
    mut exchange: Option<Box<Exchange>>,
    call: impl AsyncFnOnce(&Hooks, &mut Store<Guest>) -> wasmtime::Result<A> + 'static,
    check: impl FnOnce(A, &mut Store<Guest>) -> Result<R, Failure> + 'static,
) -> Ended<R> {
    let deadline = Instant::now() + holder.with(|slot| slot.recipe().budget.deadline);
    let mut instance = match lend(&holder, key, deadline).await {
        Ok(instance) => *instance,
        Err(not_now) => {
            if let Some(exchange) = &mut exchange {
                exchange.retry_after = Some(not_now.seconds());
            }
            return (exchange, Err(Failure::not_called(not_now.kind)));
        }
    };
    let began = holder.with(|slot| slot.cells().begins(key.0 as usize));
    let (rescued, place) = (instance.take_rescued(), instance.place());
    let measured = holder.with(|slot| slot.clock().is_some());
    let mut running: Running<R> = InTurns::new(Box::pin(instance.call_in_turns(limits, exchange, call, check)), measured);
    if let Poll::Ready((instance, exchange, answered)) = poll_fn(|context| Poll::Ready(Pin::new(&mut running).poll(context))).await {
        conclude(&holder, (key, began), instance, rescued, (exchange.as_deref(), &answered), running.spent());
        return (exchange, answered);
    }
    let (tell, told) = oneshot::channel();
    let task = tokio::task::spawn_local(async move {
        let ended = to_its_end(&holder, (key, began), running, (rescued, place), deadline).await;
        if tell.send(ended).is_err() {
            holder.with(|slot| slot.cells().outlived());
        }
    });
    match told.await {
        Ok(ended) => ended,
        Err(_) => match task.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // It tells before it ends, and nobody cancels it.
            _ => unreachable!("a call that waits ends by telling its outcome"),
        },
    }
}

/// What waits, until it is done or its deadline comes, or, where it computes, until its breaker opens.
async fn to_its_end<H: Holder, R>(
    holder: &H,
    (key, began): Begun,
    mut running: Running<R>,
    (mut rescued, place): (Rescued, Arc<State>),
    deadline: Instant,
) -> Ended<R> {
    let turns = poll_fn(|context| {
        let left_alone = if place.computes() { holder.with(|slot| slot.is_left_alone(key)) } else { None };
        match left_alone {
            Some(not_now) => Poll::Ready(Err(not_now)),
            None => Pin::new(&mut running).poll(context).map(Ok),
        }
    });
    let ended = tokio::time::timeout_at(deadline.into(), turns).await;
    if let Ok(Ok((instance, exchange, answered))) = ended {
        conclude(holder, (key, began), instance, rescued, (exchange.as_deref(), &answered), running.spent());
        return (exchange, answered);
    }
    let spent = running.used();
    // The store goes with the call, and leaves behind what it held of the request.
    drop(running);
    let mut exchange = rescued.as_mut().and_then(|rescued| rescued.try_recv().ok());
    let failure = match ended {
        Ok(Err(not_now)) => {
            if let Some(exchange) = &mut exchange {
                exchange.retry_after = Some(not_now.seconds());
            }
            Failure::left_alone()
        }
        _ => holder.with(|slot| Failure::deadline(slot.recipe().budget.deadline)),
    };
    holder.with(|slot| slot.took(key.0, began));
    let coming = holder.with(|slot| slot.settle(key, None, Err((&failure, spent)), exchange.as_deref()));
    await_instance(holder, coming);
    (exchange, Err(failure))
}

fn conclude<H: Holder, R>(
    holder: &H,
    (key, began): Begun,
    mut instance: Instance,
    rescued: Rescued,
    (exchange, answered): (Option<&Exchange>, &Result<R, Failure>),
    spent: Duration,
) {
    instance.keep_rescued(rescued);
    holder.with(|slot| slot.took(key.0, began));
    let ended = answered.as_ref().map(drop).map_err(|failure| (failure, spent));
    let coming = holder.with(|slot| slot.settle(key, Some(instance), ended, exchange));
    await_instance(holder, coming);
}

/// The instance for one call, before its deadline.
async fn lend<H: Holder>(holder: &H, (hook, config): (Hook, u32), deadline: Instant) -> Result<Box<Instance>, NotNow> {
    let (given, coming) = match holder.with(|slot| slot.lend(hook, config)) {
        Lent::Now(instance) => return Ok(instance),
        Lent::Made(instance) => {
            make_in_turns(holder);
            return Ok(instance);
        }
        Lent::No(not_now) => return Err(not_now),
        Lent::Later(given, coming) => (given, coming),
    };
    await_instance(holder, coming);
    let mut queued = Queueing { holder, given };
    match tokio::time::timeout_at(deadline.into(), &mut queued.given).await {
        Ok(Ok(instance)) => match holder.with(|slot| slot.not_now(hook, config)) {
            // Others failed while it waited.
            Some(not_now) => {
                await_instance(holder, holder.with(|slot| slot.give_back(*instance)));
                Err(not_now)
            }
            None => {
                holder.with(|slot| slot.cells().called(hook as usize));
                Ok(instance)
            }
        },
        Ok(Err(_)) | Err(_) => Err(holder.with(|slot| slot.no_instance(hook))),
    }
}

/// Makes an instance in each turn of the event loop, until nobody waits for one: others get in between.
fn make_in_turns<H: Holder>(holder: &H) {
    let holder = holder.clone();
    tokio::task::spawn_local(async move {
        loop {
            // After everybody who is ready, and a look at the sockets.
            tokio::task::yield_now().await;
            match holder.with(Slot::make_next) {
                Some(coming) => await_instance(&holder, coming),
                None => break,
            }
        }
    });
}

/// A place in the queue. An instance that is given to whoever has just left goes back.
struct Queueing<'a, H: Holder> {
    holder: &'a H,
    given: oneshot::Receiver<Box<Instance>>,
}

impl<H: Holder> Drop for Queueing<'_, H> {
    fn drop(&mut self) {
        self.given.close();
        if let Ok(instance) = self.given.try_recv() {
            let coming = self.holder.with(|slot| slot.give_back(*instance));
            await_instance(self.holder, coming);
        }
    }
}

/// Sees to it that an instance that is being made elsewhere gets to those who queue.
fn await_instance<H: Holder>(holder: &H, coming: Option<Coming>) {
    let Some(mut coming) = coming else { return };
    let holder = holder.clone();
    tokio::task::spawn_local(async move {
        loop {
            let made = coming.await.ok();
            match holder.with(|slot| slot.arrived(made)) {
                Some(another) => coming = another,
                None => break,
            }
        }
    });
}
