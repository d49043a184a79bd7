use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::config::model::{AllowedHost, HostPattern};
use crate::http_client::AnswerSource;

/// A server on this machine that gives everyone the same answer, and counts whom.
fn server(answer: String) -> (u16, Arc<AtomicUsize>) {
    server_by(move |_| answer.clone())
}

/// The same, with an answer to each head.
fn server_by(answer: impl Fn(&str) -> String + Clone + Send + 'static) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let counted = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&counted);
    // It ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer, asked) = (stream.unwrap(), answer.clone(), Arc::clone(&counts));
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                    head.extend_from_slice(&byte);
                }
                asked.fetch_add(1, Ordering::Relaxed);
                let _ = stream.write_all(answer(&String::from_utf8_lossy(&head).to_ascii_lowercase()).as_bytes());
            });
        }
    });
    (port, counted)
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

/// A client that may ask `id.example` at that port, which has these addresses one after the other.
fn client(port: u16, answers: &[&str]) -> Arc<HttpClient> {
    let answers: Vec<Vec<IpAddr>> = answers.iter().map(|address| vec![address.parse().unwrap()]).collect();
    let service = HttpService::start_with(move || Resolver::Listed(Rc::new(RefCell::new(answers)))).unwrap();
    let grant = HttpClientGrant {
        hosts: vec![AllowedHost { tls: false, host: HostPattern::Exact("id.example".into()), port }],
        upstreams: Vec::new(),
        addresses: vec!["127.0.0.1/32".parse().unwrap()],
        timeout: Duration::from_secs(10),
        max_body_bytes: 1 << 10,
        max_redirects: 3,
        max_in_flight: 4,
        max_cache_bytes: 1 << 16,
    };
    service.client("p", &grant, Vec::new(), &Telemetry::new().unwrap())
}

/// A client with the same grants, of which its thread has not heard.
fn unheard_of(client: &HttpClient) -> HttpClient {
    let Granted { plugin, grant, upstreams, cells } = &*client.granted;
    let granted = Granted { plugin: "unheard of".into(), grant: grant.clone(), upstreams: upstreams.clone(), cells: Arc::clone(cells) };
    assert_ne!(*plugin, granted.plugin);
    HttpClient { granted: Arc::new(granted), orders: client.orders.clone() }
}

fn get(client: &HttpClient, url: &str) -> Answered {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(client.send(OutgoingRequest::new("GET", url)))
}

#[test]
fn a_name_that_moves_into_another_network_between_two_requests_is_refused_there() {
    let (port, asked) = server(HELLO.to_owned());
    let client = client(port, &["127.0.0.1", "127.0.0.2"]);
    let url = format!("http://id.example:{port}/");
    assert_eq!(get(&client, &url).unwrap().body, "hello");
    // An unused connection to where it was is no way around.
    for _ in 0..2 {
        let refused = get(&client, &url);
        assert!(matches!(&refused, Err(HttpError::NotAllowed(why)) if why.contains("127.0.0.2")), "{refused:?}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_name_that_moves_between_a_request_and_its_redirect_is_refused_there() {
    let (port, asked) = server("HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned());
    let client = client(port, &["127.0.0.1", "169.254.169.254"]);
    let refused = get(&client, &format!("http://id.example:{port}/"));
    assert!(matches!(&refused, Err(HttpError::NotAllowed(why)) if why.contains("169.254.169.254")), "{refused:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn what_may_be_asked_is_what_a_request_is_let_go_to() {
    let (port, asked) = server(HELLO.to_owned());
    let client = client(port, &["127.0.0.1"]);
    let long = format!("http://id.example:{port}/{}", "a".repeat(8 << 10));
    for (url, word) in [
        (format!("http://id.example:{port}/a?b#c"), "let go"),
        (format!("http://ID.example.:{port}"), "let go"),
        (format!("https://id.example:{port}/"), "not-allowed"),
        ("http://id.example/".to_owned(), "not-allowed"),
        (format!("http://other.example:{port}/"), "not-allowed"),
        (format!("http://127.0.0.1:{port}/"), "not-allowed"),
        ("http://id.example:0/".to_owned(), "invalid"),
        (format!("ftp://id.example:{port}/"), "invalid"),
        (format!("http://ann:secret@id.example:{port}/"), "invalid"),
        ("http:///a".to_owned(), "invalid"),
        ("/a".to_owned(), "invalid"),
        ("id.example".to_owned(), "invalid"),
        (String::new(), "invalid"),
        (long, "invalid"),
    ] {
        let (before, may) = (asked.load(Ordering::Relaxed), client.may_ask(&url));
        assert_eq!(asked.load(Ordering::Relaxed), before, "{url}: it asks nobody");
        assert_eq!(may.as_ref().map_or_else(HttpError::as_str, |()| "let go"), word, "{url}");
        assert_eq!(get(&client, &url).map(drop), may, "{url}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// What several workers ask at once, one of them late.
fn introspect(client: &HttpClient, port: u16, shared: Option<bool>) -> Answered {
    let runtime = Builder::new_current_thread().build().unwrap();
    let mut request = OutgoingRequest::new("POST", &format!("http://id.example:{port}/introspect"));
    request.set_body(b"token=t".to_vec());
    if let Some(shared) = shared {
        request.set_shared(shared);
    }
    runtime.block_on(client.send(request))
}

#[test]
fn who_asks_a_moment_late_for_what_is_shared_has_the_same_answer() {
    let (port, asked) = server(HELLO.to_owned());
    let client = client(port, &["127.0.0.1"]);
    // On a busy machine the moment can be over before the second asks.
    let late = |shared| {
        let before = asked.load(Ordering::Relaxed);
        assert!((0..2).all(|_| introspect(&client, port, shared).unwrap().body == "hello"));
        std::thread::sleep(2 * LATE);
        asked.load(Ordering::Relaxed) - before
    };
    assert!((0..50).any(|_| late(Some(true)) == 1));
    assert_eq!(late(Some(false)), 2);
    assert_eq!(late(None), 2, "a POST is not shared by default");
    let before = asked.load(Ordering::Relaxed);
    assert_eq!(introspect(&client, port, Some(true)).unwrap().body, "hello");
    std::thread::sleep(2 * LATE);
    assert_eq!(introspect(&client, port, Some(true)).unwrap().body, "hello");
    assert_eq!(asked.load(Ordering::Relaxed) - before, 2, "the moment is over");
}

#[test]
fn a_failure_is_not_kept_for_who_asks_late() {
    let (port, asked) = server("rubbish\r\n\r\n".to_owned());
    let client = client(port, &["127.0.0.1"]);
    assert!((0..2).all(|_| introspect(&client, port, Some(true)).is_err()));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn who_must_not_wait_gets_what_is_here_or_nothing() {
    let (port, asked) = server(HELLO.replace("content-length", "cache-control: max-age=60\r\ncontent-length"));
    let client = client(port, &["127.0.0.1"]);
    let at_once_with = |path: &str, change: fn(&mut OutgoingRequest)| {
        let mut request = OutgoingRequest::new("GET", &format!("http://id.example:{port}{path}"));
        request.must_not_wait();
        change(&mut request);
        Builder::new_current_thread().build().unwrap().block_on(client.send(request))
    };
    let at_once = |path| at_once_with(path, |_| ());
    assert_eq!(at_once("/").unwrap_err(), HttpError::TooManyCalls);
    assert_eq!(get(&client, &format!("http://id.example:{port}/")).unwrap().body, "hello");
    assert_eq!(at_once("/").unwrap().source, AnswerSource::Cache);
    assert_eq!(at_once("/other").unwrap_err(), HttpError::TooManyCalls);
    // What is fresh, and older than was wanted, is no sign of a server that is away.
    let younger = |request: &mut OutgoingRequest| {
        request.set_max_age(Duration::ZERO);
        request.set_stale_if_error(Duration::from_secs(60));
    };
    assert_eq!(at_once_with("/", younger).unwrap_err(), HttpError::TooManyCalls);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn who_could_not_be_registered_has_a_cache_from_their_first_request_on() {
    let (port, asked) = server(HELLO.replace("content-length", "cache-control: max-age=60\r\ncontent-length"));
    let client = unheard_of(&client(port, &["127.0.0.1"]));
    let url = format!("http://id.example:{port}/");
    for _ in 0..2 {
        assert_eq!(get(&client, &url).unwrap().body, "hello");
        std::thread::sleep(TIDY + TIDY / 5);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_304_that_is_about_another_answer_is_no_answer_for_a_plugin() {
    let head = "etag: \"1\"\r\ncache-control: max-age=0\r\nconnection: close\r\n";
    for (said, times) in [("", 2), ("etag: \"1\"\r\n", 2), ("etag: \"2\"\r\n", 3)] {
        let (port, asked) = server_by(move |request| {
            if request.contains("if-none-match") {
                format!("HTTP/1.1 304 Not Modified\r\n{said}connection: close\r\n\r\n")
            } else {
                format!("HTTP/1.1 200 OK\r\n{head}content-length: 5\r\n\r\nhello")
            }
        });
        let client = client(port, &["127.0.0.1"]);
        let url = format!("http://id.example:{port}/");
        assert_eq!(get(&client, &url).unwrap().source, AnswerSource::Server);
        let again = get(&client, &url).unwrap();
        let source = if times == 2 { AnswerSource::Validated } else { AnswerSource::Server };
        assert_eq!((again.status.as_u16(), &again.body[..], again.source), (200, &b"hello"[..], source), "{said}");
        assert_eq!(asked.load(Ordering::Relaxed), times, "{said}");
    }
}

#[test]
fn whoever_waits_for_a_request_that_is_given_up_is_told_and_who_asks_next_asks_anew() {
    let granted = Arc::clone(&client(1, &[]).granted);
    let service = Service { hosts: Hosts::new(Resolver::System), pool: Pool::new(), plugins: RefCell::default() };
    let plugin = service.plugin(&granted);
    let caller = || {
        let (answer, answered) = oneshot::channel();
        (Caller { answer, began: Instant::now() }, answered)
    };
    let key = (super::client(&granted), b"key".to_vec());
    let ((first, of_first), (other, of_other)) = (caller(), caller());
    let flight = Flight::begin(Rc::clone(&plugin), Arc::clone(&granted.cells), first, Some(key.clone()));
    if let Some(Shared::InFlight(waiting)) = plugin.shared.borrow_mut().get_mut(&key) {
        waiting.push(other);
    }
    assert_eq!(plugin.in_flight.get(), 1);
    // As a panic on its way would.
    drop(flight);
    for mut answered in [of_first, of_other] {
        assert_eq!(answered.try_recv().unwrap().unwrap_err(), HttpError::Protocol("the gateway gave up on it".to_owned()));
    }
    assert_eq!((plugin.in_flight.get(), plugin.shared.borrow().len()), (0, 0));
}
