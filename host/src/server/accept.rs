//! Accepting: a connection is served once it has a place among those the gateway may have. A full gateway leaves clients
//! in the kernel's queue; each worker holds back one that it took from there.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::connection::{Context, serve};
use crate::proxy::Shared;
use crate::telemetry::Seldom;
use crate::upstream::is_for_want_of_room;

/// Pause when the gateway is full, or the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(20);

/// A place among the gateway's connections.
struct Place(Arc<Shared>);

/// Accepts until told to stop.
pub(super) async fn accept(listener: TcpListener, context: Rc<Context>, mut stop: watch::Receiver<bool>) {
    let mut told = Seldom::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                // A place is taken only for a connection that is there: workers that wait for one must not use up places.
                let place = tokio::select! {
                    place = Place::free(&context) => place,
                    _ = stop.wait_for(|stop| *stop) => return,
                };
                let (context, accepted) = (Rc::clone(&context), context.sweep.accepts());
                tokio::task::spawn_local(async move {
                    serve(context, stream, peer).await;
                    drop((place, accepted));
                });
            }
            // The client gave up while it was queued.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
            Err(error) if is_for_want_of_room(&error) && makes_room(&context) => {}
            Err(error) => {
                context.worker.cells.accept_paused();
                if told.is_due() {
                    tracing::warn!(%error, listener = &*context.listener, "Accepting connections is paused");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Who comes is worth more than a connection that nobody uses, as long as clients have less than half of the files: each needs another one for its
/// requests.
fn makes_room(context: &Context) -> bool {
    let clients = context.worker.shared.connections.load(Ordering::Relaxed) as u64;
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    clients < files / 2 && context.worker.pool.give_up_unused()
}

impl Place {
    /// A place, as soon as there is one.
    async fn free(context: &Context) -> Self {
        let shared = &context.worker.shared;
        let taken = || Shared::take(&shared.connections, context.worker.generation().snapshot.limits.max_connections);
        if !taken() {
            context.worker.cells.accept_paused();
            while !taken() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Self(Arc::clone(shared))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
