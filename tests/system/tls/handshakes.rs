//! Handshakes: versions, protocols, resumption, and what is none.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use plugway_harness::ca::Authority;
use plugway_harness::raw::Raw;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::world;

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

fn config(authority: &Authority, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let mut config = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut session = ClientConnection::new(Arc::clone(config), "a.example".try_into().unwrap()).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(session, socket))
}

/// One request and the status line of its answer; by then the session's tickets have come, too.
fn get(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

#[test]
fn the_protocol_is_agreed_by_alpn() {
    let listeners = "[listen.old]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"first.pem\", key = \"first.key\", http2 = false }\n";
    let world = world(1, "", listeners);
    let agreed = |listener: &str, offered: &[&str]| {
        let config = Arc::new(config(&world.authority, BOTH, offered));
        let stream = connect(world.gateway.address(listener).unwrap(), &config)?;
        Ok::<_, std::io::Error>(stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()))
    };
    assert_eq!(agreed("web", &["h2", "http/1.1"]).unwrap().as_deref(), Some("h2"));
    assert_eq!(agreed("web", &["http/1.1", "h2"]).unwrap().as_deref(), Some("h2"), "the gateway's order");
    assert_eq!(agreed("web", &["http/1.1"]).unwrap().as_deref(), Some("http/1.1"));
    assert_eq!(agreed("web", &[]).unwrap(), None);
    assert_eq!(agreed("old", &["h2", "http/1.1"]).unwrap().as_deref(), Some("http/1.1"));
    // Nothing in common is an error, not a guess (RFC 7301, section 3.2).
    for (listener, offered) in [("old", "h2"), ("web", "http/0.9"), ("web", "acme-tls/1")] {
        let error = agreed(listener, &[offered]).unwrap_err().to_string();
        assert!(error.contains("NoApplicationProtocol"), "{listener}, {offered}: {error}");
    }
    // Who offers nothing speaks HTTP/1.1.
    let mut stream = connect(world.address(), &Arc::new(config(&world.authority, BOTH, &[]))).unwrap();
    assert_eq!(get(&mut stream).unwrap(), "HTTP/1.1 200 OK");
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let world = world(1, "", "");
    for (version, spoken) in [(&rustls::version::TLS12, ProtocolVersion::TLSv1_2), (&rustls::version::TLS13, ProtocolVersion::TLSv1_3)] {
        let mut stream = connect(world.address(), &Arc::new(config(&world.authority, &[version], &["http/1.1"]))).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(spoken));
        assert_eq!(get(&mut stream).unwrap(), "HTTP/1.1 200 OK");
    }
    for (name, version) in [("TLS 1.1", 2), ("TLS 1.0", 1), ("SSL 3.0", 0)] {
        let mut socket = TcpStream::connect(world.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(&old_hello(version)).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        // One fatal alert (RFC 8446, section 6), and nothing else.
        assert!(matches!(answer.as_slice(), [21, 3, _, 0, 2, 2, _]), "{name}: {answer:?}");
    }
}

/// The hello of a client that knows nothing newer (RFC 4346, section 7.4.1.2).
fn old_hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    // No session; two suites, AES-CBC with RSA and with ECDHE; no compression.
    body.extend([0, 0, 4, 0x00, 0x2F, 0xC0, 0x13, 1, 0]);
    let mut hello = vec![22, 3, minor.min(1), 0, u8::try_from(body.len() + 4).unwrap(), 1, 0, 0, u8::try_from(body.len()).unwrap()];
    hello.extend(body);
    hello
}

#[test]
fn a_session_is_resumed_by_whichever_worker_gets_the_client() {
    let world = world(4, "", "");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = Arc::new(config(&world.authority, &[version], &["http/1.1"]));
        let mut kinds = Vec::new();
        for _ in 0..24 {
            let mut stream = connect(world.address(), &config).unwrap();
            kinds.push(stream.conn.handshake_kind().unwrap());
            assert_eq!(get(&mut stream).unwrap(), "HTTP/1.1 200 OK");
        }
        assert_eq!(kinds.remove(0), HandshakeKind::Full, "{version:?}");
        assert!(kinds.iter().all(|kind| *kind == HandshakeKind::Resumed), "{version:?}: {kinds:?}");
    }
}

/// A ticket of a listener that asks for nothing must not open one that asks for a certificate (CVE-2025-23419 in nginx).
#[test]
fn a_session_of_one_listener_opens_no_other() {
    let listeners = r#"[listen.strict]
address = "127.0.0.1:0"
tls = { certificate = "first.pem", key = "first.key", client_auth = { mode = "required", ca = "clients.pem" } }
"#;
    let world = world(1, "", listeners);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        // One memory of sessions for both: they have one name.
        let config = Arc::new(config(&world.authority, &[version], &["http/1.1"]));
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut stream = connect(world.address(), &config).unwrap();
            assert_eq!(stream.conn.handshake_kind(), Some(kind), "{version:?}");
            assert_eq!(get(&mut stream).unwrap(), "HTTP/1.1 200 OK");
        }
        let refused = connect(world.gateway.address("strict").unwrap(), &config).and_then(|mut stream| get(&mut stream));
        assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("CertificateRequired")), "{version:?}: {refused:?}");
    }
}

#[test]
fn what_is_no_handshake_harms_nobody_else() {
    let world = world(1, "", "");
    let mut steady = Raw::connect_tls(world.address(), "a.example", &world.authority).unwrap();
    let mut silent = Vec::new();
    for round in 0..40u8 {
        let mut socket = TcpStream::connect(world.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let garbage: Vec<u8> = match round % 5 {
            0 => b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(),
            1 => (0..200).map(|byte: u8| byte.wrapping_mul(round | 1).wrapping_add(7)).collect(),
            2 => vec![22, 3, 1, 0xFF, 0xFF, 1],
            3 => old_hello(3)[..20].to_vec(),
            _ => Vec::new(),
        };
        drop(socket.write_all(&garbage));
        silent.push(socket);
        steady.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        assert_eq!(steady.response().unwrap().status, 200, "{round}");
    }
    let mut fresh = Raw::connect_tls(world.address(), "a.example", &world.authority).unwrap();
    fresh.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    assert_eq!(fresh.response().unwrap().status, 200);
    // Plain HTTP on this port gets a TLS alert at most, and never an answer.
    let mut answer = Vec::new();
    drop(silent.swap_remove(0).read_to_end(&mut answer));
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}
