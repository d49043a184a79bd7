//! What is sent over real connections, to servers that do as they are told.

use std::cell::Cell;
use std::future::Future;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{LocalSet, coop, spawn_local};

use super::*;
use crate::upstream::registry::tests::model;
use crate::upstream::{Registry, Upstream};

type RequestBody = BoxBody<Bytes, std::convert::Infallible>;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server that does the same on each of its connections.
struct Server {
    upstream: Upstream,
    accepted: Rc<Cell<usize>>,
    pool: Pool<RequestBody>,
}

impl Server {
    async fn start<F: Future<Output = ()> + 'static>(serve: impl Fn(TcpStream) -> F + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut model = model(&[1]);
        (model.endpoints[0].host, model.endpoints[0].port) = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        (model.max_connections, model.max_idle_connections, model.idle_timeout) = (8, 8, Duration::from_secs(60));
        let upstream = Registry::new(1).assemble(&model).unwrap().for_worker(0);
        let accepted = Rc::new(Cell::new(0));
        let counted = Rc::clone(&accepted);
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.set(counted.get() + 1);
                spawn_local(serve(stream));
            }
        });
        Self { upstream, accepted, pool: Pool::new() }
    }

    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody<RequestBody>>, Box<SendError>> {
        let plan = Plan::default_for(&self.upstream, &self.upstream.endpoints[0]);
        self.pool.send(&plan, &mut Some(request), Instant::now()).await
    }

    /// The status and body of an answer to a GET, and how many connections there have been.
    async fn get(&self) -> (u16, String, usize) {
        let response = self.send(Request::get("/").body(Empty::new().boxed()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap(), self.accepted.get())
    }

    /// Waits until this side knows that its unused connections are no good.
    async fn settled(&self) {
        while self.upstream.endpoints[0].state.idle_connections() > 0 {
            tokio::task::yield_now().await;
            self.pool.reap(Instant::now());
        }
    }
}

/// Reads a head; false where none comes any more.
async fn head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// Answers whatever comes.
async fn answers(mut stream: TcpStream) {
    while head(&mut stream).await && stream.write_all(OK).await.is_ok() {}
}

async fn alone(test: impl Future<Output = ()>) {
    let thread = LocalSet::new();
    tokio::time::timeout(Duration::from_secs(60), thread.run_until(test)).await.expect("it hangs");
}

#[tokio::test]
async fn a_connection_has_one_request_after_another() {
    alone(async {
        let server = Server::start(answers).await;
        for _ in 0..3 {
            assert_eq!(server.get().await, (200, "ok".to_owned(), 1));
        }
    })
    .await;
}

#[tokio::test]
async fn what_follows_an_answer_is_no_answer_to_the_next_request() {
    // With the answer, and while nobody uses the connection.
    for (together, later) in [(true, false), (false, true)] {
        let serve = move |mut stream: TcpStream| async move {
            while head(&mut stream).await {
                let more = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen";
                let written = if together { [OK, more].concat() } else { OK.to_vec() };
                stream.write_all(&written).await.unwrap();
                if later {
                    tokio::task::yield_now().await;
                    let _ = stream.write_all(more).await;
                }
            }
        };
        alone(async {
            let server = Server::start(serve).await;
            for connections in 1..4 {
                assert_eq!(server.get().await, (200, "ok".to_owned(), connections));
                server.settled().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_connection_whose_request_was_not_sent_whole_is_not_used_again() {
    const LONG: usize = 16 << 20;
    // It answers the head, and never reads what follows.
    let serve = |mut stream: TcpStream| async move {
        while head(&mut stream).await {
            let _ = stream.write_all(OK).await;
            std::future::pending::<()>().await;
        }
    };
    alone(async {
        let server = Server::start(serve).await;
        let long = Full::new(Bytes::from(vec![b'x'; LONG])).boxed();
        let response = server.send(Request::post("/").body(long).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
        assert_eq!(server.upstream.endpoints[0].state.idle_connections(), 0);
        assert_eq!(server.get().await, (200, "ok".to_owned(), 2));
    })
    .await;
}

#[tokio::test]
async fn a_request_goes_on_while_nobody_reads_the_answer() {
    const LONG: usize = 16 << 20;
    let (done, waits) = tokio::sync::oneshot::channel();
    let done = Rc::new(Cell::new(Some(done)));
    // It answers the head at once, and says when it has all of the body.
    let serve = move |mut stream: TcpStream| {
        let done = Rc::clone(&done);
        async move {
            assert!(head(&mut stream).await);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nno").await.unwrap();
            let (mut left, mut buffer) = (LONG, vec![0; 1 << 16]);
            while left > 0 {
                left -= stream.read(&mut buffer).await.unwrap();
            }
            done.take().unwrap().send(()).unwrap();
            stream.write_all(b"ok").await.unwrap();
            assert!(!head(&mut stream).await);
        }
    };
    alone(async {
        let server = Server::start(serve).await;
        let long = Full::new(Bytes::from(vec![b'x'; LONG])).boxed();
        let response = server.send(Request::post("/").body(long).unwrap()).await.unwrap();
        waits.await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "nook");
        assert_eq!(server.upstream.endpoints[0].state.idle_connections(), 1, "both have ended, and it can be used again");
    })
    .await;
}

#[tokio::test]
async fn a_task_that_has_had_its_turn_gets_its_answer_all_the_same() {
    alone(async {
        let server = Server::start(answers).await;
        for _ in 0..3 {
            let spent = async {
                while coop::has_budget_remaining() {
                    coop::consume_budget().await;
                }
                server.get().await
            };
            assert_eq!(spent.await.0, 200);
        }
        assert_eq!(server.accepted.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_where() {
    let cut: [(&[u8], Result<&str, &str>); 5] = [
        (b"", Err("upstream-reset: the connection was closed before a response head was whole")),
        (b"HTTP/1.1 200 OK\r\ncont", Err("upstream-reset: the connection was closed before a response head was whole")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", Ok("the connection was closed within a response body")),
        (b"\0\0\x06\x04\0\0\0\0\0", Err("upstream-malformed: no response head: invalid HTTP version")),
        (b"SSH-2.0-x\r\n\r\n", Err("upstream-malformed: no response head: invalid HTTP version")),
    ];
    for (bytes, expected) in cut {
        let serve = move |mut stream: TcpStream| async move {
            assert!(head(&mut stream).await);
            stream.write_all(bytes).await.unwrap();
        };
        alone(async {
            let server = Server::start(serve).await;
            match (server.send(Request::get("/").body(Empty::new().boxed()).unwrap()).await, expected) {
                (Err(error), Err(why)) => assert_eq!(error.to_string(), why),
                (Ok(response), Ok(why)) => assert_eq!(response.into_body().collect().await.unwrap_err().to_string(), why),
                (other, _) => panic!("{other:?}"),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_said_before_a_request_is_sent_is_no_answer_to_it() {
    let unused = Rc::new(Cell::new(None));
    let leaves = Rc::clone(&unused);
    let serve = move |mut stream: TcpStream| {
        let leaves = Rc::clone(&leaves);
        async move {
            assert!(head(&mut stream).await);
            stream.write_all(OK).await.unwrap();
            leaves.set(Some(stream));
        }
    };
    alone(async {
        let server = Server::start(serve).await;
        assert_eq!(server.get().await, (200, "ok".to_owned(), 1));
        while server.upstream.endpoints[0].state.idle_connections() == 0 {
            tokio::task::yield_now().await;
        }
        // An upstream that says why it closes, and of which the runtime has not heard yet. Nothing can be written then, and what it said can be read.
        let stream = unused.take().unwrap();
        stream.set_zero_linger().unwrap();
        assert!(stream.try_write(b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap() > 0);
        drop(stream);
        let response = server.send(Request::post("/").body(Empty::new().boxed()).unwrap()).await.unwrap();
        assert_eq!((response.status().as_u16(), server.accepted.get()), (200, 2));
    })
    .await;
}

#[tokio::test]
async fn what_was_said_unasked_is_seen_by_a_task_that_has_had_its_turn() {
    let said = Rc::new(Notify::new());
    let says = Rc::clone(&said);
    let serve = move |mut stream: TcpStream| {
        let says = Rc::clone(&says);
        async move {
            assert!(head(&mut stream).await);
            stream.write_all(OK).await.unwrap();
            tokio::task::yield_now().await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen").await;
            says.notify_one();
            assert!(!head(&mut stream).await);
        }
    };
    alone(async {
        let server = Server::start(serve).await;
        for connections in 1..4 {
            assert_eq!(server.get().await, (200, "ok".to_owned(), connections));
            said.notified().await;
            // So that the runtime has heard of it.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            while coop::has_budget_remaining() {
                coop::consume_budget().await;
            }
        }
    })
    .await;
}
