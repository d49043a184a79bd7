//! Accepting: a place for the connection first, then the connection, so that a full gateway leaves clients in the
//! kernel's queue instead of taking what it cannot serve.

use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::connection::{Context, serve};
use crate::proxy::Shared;

/// Pause when the gateway is full, or the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(20);

/// A place among the gateway's connections.
struct Place(std::sync::Arc<Shared>);

/// Accepts until told to stop.
pub(super) async fn accept(listener: TcpListener, context: Rc<Context>, mut stop: watch::Receiver<bool>) {
    let shared = std::sync::Arc::clone(&context.worker.shared);
    loop {
        let limit = context.worker.generation().snapshot.limits.max_connections;
        if !Shared::take(&shared.connections, limit) {
            context.worker.cells.accept_paused();
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => continue,
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
        let place = Place(std::sync::Arc::clone(&shared));
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let context = Rc::clone(&context);
                tokio::task::spawn_local(async move {
                    serve(context, stream, peer).await;
                    drop(place);
                });
            }
            // The client gave up while it was queued.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
            Err(error) => {
                context.worker.cells.accept_paused();
                tracing::warn!(%error, "Accepting connections is paused");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
