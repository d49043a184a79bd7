//! Instances made off the workers, for plugins whose configuring is dear: a worker that replaced one of those itself would
//! stall everyone it serves. Plugins have their instances made by turns: a burst of one that is dear keeps no other waiting for all of it.

mod queues;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::budget::thread_cpu_time;
use super::instance::{Instance, Surroundings};
use super::recipe::{Recipe, SetupError, SetupTime};
use queues::Queues;

/// A thread that makes instances. It ends when nobody can order any more.
#[derive(Debug, Clone)]
pub struct Nursery {
    orders: Sender<Order>,
}

/// An instance on its way, to be asked for or waited for.
pub(super) type Coming = oneshot::Receiver<Made>;

/// What came of an order.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) instance: Result<Instance, SetupError>,
    /// CPU time it took.
    pub(super) took: Duration,
}

#[derive(Debug)]
struct Order {
    recipe: Arc<Recipe>,
    surroundings: Surroundings,
    deliver: oneshot::Sender<Made>,
}

impl Nursery {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start() -> io::Result<Self> {
        let (orders, received) = channel::<Order>();
        std::thread::Builder::new().name("plugway-nursery".into()).spawn(move || fill(&received))?;
        Ok(Self { orders })
    }

    /// Has one made. When the thread is gone the answer is that nothing will come.
    pub(super) fn order(&self, recipe: &Arc<Recipe>, surroundings: &Surroundings) -> Coming {
        let (deliver, coming) = oneshot::channel();
        drop(self.orders.send(Order { recipe: Arc::clone(recipe), surroundings: surroundings.clone(), deliver }));
        coming
    }
}

fn fill(received: &Receiver<Order>) {
    let mut queues = Queues::default();
    loop {
        if queues.is_empty() {
            match received.recv() {
                Ok(order) => queues.push(Arc::as_ptr(&order.recipe), order),
                Err(_) => return,
            }
        }
        for order in received.try_iter() {
            queues.push(Arc::as_ptr(&order.recipe), order);
        }
        // Whoever ordered it may be gone, as when a reload left its generation behind.
        let Some(Order { recipe, surroundings, deliver }) = queues.take_next(|order| !order.deliver.is_closed()) else { continue };
        let began = thread_cpu_time();
        let instance = recipe.instantiate(&surroundings, SetupTime::PerCall, None);
        drop(deliver.send(Made { instance, took: thread_cpu_time().saturating_sub(began) }));
    }
}
