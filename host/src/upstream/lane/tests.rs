//! Connections that nobody uses, to a server that counts them.

use std::cell::Cell;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::upstream::registry::tests::model;
use crate::upstream::{Pool, Registry, Upstream};

/// Answers whatever comes, on connections that it keeps; closes all of them when told.
struct Server {
    upstream: Arc<Upstream>,
    accepted: Rc<Cell<usize>>,
    open: Rc<RefCell<Vec<tokio::task::AbortHandle>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut model = model(&[1]);
        (model.endpoints[0].host, model.endpoints[0].port) = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        model.idle_timeout = Duration::from_secs(60);
        (model.max_connections, model.max_idle_connections) = (8, 8);
        let upstream = Arc::new(Registry::new(1).assemble(&model).unwrap().for_worker(0));
        let (accepted, open) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
        let server = Self { upstream, accepted: Rc::clone(&accepted), open: Rc::clone(&open) };
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.set(accepted.get() + 1);
                open.borrow_mut().push(tokio::task::spawn_local(answer(stream)).abort_handle());
            }
        });
        server
    }

    /// How many of its connections are unused.
    fn idle(&self) -> usize {
        self.upstream.endpoints[0].state.idle_connections()
    }

    fn close_all(&self) {
        self.open.borrow_mut().drain(..).for_each(|connection| connection.abort());
    }
}

async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
    }
}

async fn send(pool: &Pool<Empty<Bytes>>, server: &Server) {
    let plan = Plan::default_for(&server.upstream, &server.upstream.endpoints[0]);
    let request = http::Request::builder().uri("/").header("host", "a").body(Empty::new()).unwrap();
    let response = pool.send(&plan, &mut Some(request), Instant::now()).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
}

/// One look at every connection.
fn look(pool: &Pool<Empty<Bytes>>) {
    (0..10).for_each(|_| pool.reap(Instant::now()));
}

fn run(test: impl AsyncFnOnce(Server, Pool<Empty<Bytes>>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(async { test(Server::start().await, Pool::new()).await }));
}

#[test]
fn a_connection_that_rested_has_the_next_request() {
    run(async |server, pool| {
        for round in 0..3 {
            send(&pool, &server).await;
            assert_eq!((server.accepted.get(), server.idle(), pool.resting()), (1, 1, 0), "{round}");
            look(&pool);
            assert_eq!(pool.resting(), 0, "it has just been used");
            look(&pool);
            assert_eq!((server.idle(), pool.resting()), (1, 1));
            look(&pool);
            assert_eq!((server.idle(), pool.resting()), (1, 1));
        }
    });
}

#[test]
fn a_connection_that_is_closed_while_it_rests_is_given_up() {
    run(async |server, pool| {
        send(&pool, &server).await;
        (0..2).for_each(|_| look(&pool));
        assert_eq!((server.idle(), pool.resting()), (1, 1));
        server.close_all();
        while server.idle() > 0 {
            tokio::task::yield_now().await;
            look(&pool);
        }
        let state = &server.upstream.endpoints[0].state;
        assert_eq!((state.connections(), state.in_flight(), pool.resting()), (0, 0, 0));
        send(&pool, &server).await;
        assert_eq!(server.accepted.get(), 2);
    });
}
