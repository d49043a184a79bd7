//! One HTTP/1.1 connection. One that is idle for a while rests: it leaves hyper, whose buffers are most of what it takes (16 KiB), and comes
//! back when its client says something.

use std::future::poll_fn;
use std::io;
use std::mem::take;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connection::{Context, Served, bounds, refusal};
use super::framing::{Limits, Scanner};
use super::socket::{Socket, Unread};
use super::stream::ClientStream;
use super::sweep::{Ask, Watched};
use crate::http::MAX_BUFFER;
use crate::proxy::Connection;

/// How long a client that is still sending may take to notice that it was answered. Closing at once would reset the
/// connection under the answer (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(5);

/// Headers hyper parses on the stack by default; any other limit costs an allocation per head.
const HYPER_HEADERS: usize = 100;

/// How hyper was left.
enum Left {
    /// The connection is idle, and was asked to rest.
    Rests,
    /// It was asked to end at once.
    Now,
    /// By hyper itself.
    Ended(hyper::Result<()>),
}

/// Serves an HTTP/1.1 connection to its end.
pub(super) async fn http1<S: Socket>(context: &Context, stream: S, connection: Rc<Connection>) {
    let (limits, stall) = bounds(context);
    let scanner = Scanner::new(Limits { head_bytes: limits.max_head_bytes, headers: limits.max_headers });
    let mut stream = ClientStream::new(stream, Rc::clone(&connection), Some(scanner), stall);
    let watched = context.sweep.watch(Rc::clone(&connection));

    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The sweep closes what is idle or slow, without a timer for every request.
        .header_read_timeout(None)
        // To notice that a client left while it is answered, hyper reads, into a buffer that each request then has for that alone. The stream looks.
        .half_close(S::SHOWS_END)
        // The scanner bounds heads, so this is about bodies, and must be in no head's way.
        .max_buf_size(limits.max_head_bytes.max(MAX_BUFFER));
    if limits.max_headers != HYPER_HEADERS {
        builder.max_headers(limits.max_headers);
    }
    let served = Served::new(context, &connection, &limits, &watched);
    // Boxed: there is no room for hyper where a connection rests.
    while let Some(resting) = Box::pin(stay(context, &builder, &served, &watched, stream)).await {
        match rest(&watched, resting.get_ref()).await {
            None => {
                watched.awake();
                stream = resting;
            }
            Some(Ask::EndNow) => return,
            Some(Ask::Rest | Ask::EndWhenIdle) => return end(resting.into_inner(), false).await,
        }
    }
}

/// Lets hyper serve a stream until it has ended, or rests: then the stream comes back.
async fn stay<S: Socket>(
    context: &Context,
    builder: &http1::Builder,
    served: &Served,
    watched: &Watched,
    stream: ClientStream<S>,
) -> Option<ClientStream<S>> {
    let seen = stream.seen();
    let mut hyper = builder.serve_connection(TokioIo::new(stream), service_fn(|request| served.call(request)));
    let (mut rests, mut leaves) = (false, false);
    let left = poll_fn(|task| {
        while let Poll::Ready(asked) = watched.poll_asked(task) {
            match asked {
                Ask::EndNow => return Poll::Ready(Left::Now),
                Ask::EndWhenIdle => {
                    leaves = true;
                    Pin::new(&mut hyper).graceful_shutdown();
                }
                Ask::Rest => rests = true,
            }
        }
        let requests = served.requests();
        let ended = Pin::new(&mut hyper).poll(task).map(Left::Ended);
        if take(&mut rests) {
            // Where requests came just now, hyper may hold more of them.
            let idle = served.requests() == requests && served.is_idle() && seen.is_quiet();
            if ended.is_pending() && !leaves && idle {
                return Poll::Ready(Left::Rests);
            }
            // What was asked of an idle connection met one at work, which may be asked again.
            watched.awake();
        }
        ended
    })
    .await;
    let ended = match left {
        Left::Rests => return Some(hyper.into_parts().io.into_inner()),
        Left::Now => return None,
        Left::Ended(ended) => ended,
    };
    refusal(context, &seen, ended.as_ref().err());
    if !seen.end.get() && !seen.stalled.get() {
        let stream = hyper.into_parts().io.into_inner().into_inner();
        // What came while the last answer was made, which nobody looked at.
        let came = poll_fn(|task| Poll::Ready(matches!(stream.poll_end(task), Poll::Ready(Ok(Unread::Bytes))))).await;
        // A client that asked for the end with a request that has all come sends nothing more.
        let unread = came || ended.is_err() || !(leaves || seen.is_quiet());
        end(stream, unread).await;
    }
    None
}

/// Waits for the client's next word, or until the connection is asked to end.
async fn rest(watched: &Watched, stream: &impl Socket) -> Option<Ask> {
    poll_fn(|task| {
        while let Poll::Ready(asked) = watched.poll_asked(task) {
            if asked != Ask::Rest {
                return Poll::Ready(Some(asked));
            }
        }
        // An error is hyper's to meet.
        stream.poll_readable(task).map(|_| None)
    })
    .await
}

/// Ends our side, and lets a client that is still sending read its answer first.
async fn end<S: Socket>(stream: S, unread: bool) {
    drop(Box::pin(tokio::time::timeout(LINGER, close(stream, unread))).await);
}

async fn close<S: Socket>(mut stream: S, unread: bool) -> io::Result<()> {
    stream.shutdown().await?;
    if unread {
        let mut waste = vec![0; 16 << 10];
        while stream.read(&mut waste).await? > 0 {}
    }
    Ok(())
}
