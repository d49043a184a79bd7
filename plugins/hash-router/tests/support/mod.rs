//! A real nginx in a directory of its own, and a small HTTP client for it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian's package puts it; elsewhere the search path decides.
const DEBIAN: &str = "/usr/sbin/nginx";

/// One `server` of nginx's upstream.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// The text after `server`, which is what nginx hashes.
    pub(crate) name: String,
    /// What it answers with: its port, or the number in the name of its socket.
    pub(crate) port: u16,
    /// Its `weight`.
    pub(crate) weight: u16,
    /// Whether it is marked `down`.
    pub(crate) down: bool,
}

/// A running nginx. It ends, and its directory goes, when this value does, also after a failed assertion.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    directory: PathBuf,
    front: u16,
    /// What its upstream consists of.
    pub(crate) servers: Vec<Server>,
}

impl Nginx {
    /// Starts nginx with one server per weight and a front that places the query parameter `k` on them. `down` is the
    /// position of a server marked `down`. `unix` makes the servers Unix sockets: names without a port.
    pub(crate) fn start(weights: &[u16], down: Option<usize>, unix: bool) -> Self {
        // Ports are free when chosen and may be taken when nginx wants them; then others are chosen.
        let mut why = String::new();
        for _ in 0..5 {
            let mut nginx = Self::spawn(weights, down, unix);
            match nginx.wait_until_ready() {
                Ok(()) => return nginx,
                Err(log) => why = log,
            }
        }
        panic!("nginx does not start: {why}");
    }

    fn spawn(weights: &[u16], down: Option<usize>, unix: bool) -> Self {
        let ports = free_ports(weights.len() + 1);
        let front = ports[0];
        let directory = std::env::temp_dir().join(format!("plugway-nginx-{}-{front}", std::process::id()));
        let server = |(position, (port, weight)): (usize, (&u16, &u16))| {
            let name = if unix { format!("unix:{}/{port}.sock", directory.display()) } else { format!("127.0.0.1:{port}") };
            Server { name, port: *port, weight: *weight, down: down == Some(position) }
        };
        let servers: Vec<Server> = (0..).zip(ports[1..].iter().zip(weights)).map(server).collect();

        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("nginx.conf"), configuration(front, &servers)).unwrap();
        let program = if std::path::Path::new(DEBIAN).exists() { DEBIAN } else { "nginx" };
        let child = Command::new(program)
            .arg("-p")
            .arg(&directory)
            .arg("-c")
            .arg(directory.join("nginx.conf"))
            .args(["-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("there is no nginx to compare with ({error}): install Debian's package `nginx-light`, or run `cargo xtask setup`")
            });
        Self { child, directory, front, servers }
    }

    /// The port of the server each key went to.
    pub(crate) fn ask(&self, keys: &[String]) -> Vec<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.front)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        keys.iter()
            .map(|key| {
                stream.write_all(format!("GET /?k={key} HTTP/1.1\r\nhost: nginx\r\n\r\n").as_bytes()).unwrap();
                let body = read_answer(&mut reader);
                body.parse().unwrap_or_else(|_| panic!("for {key} nginx answered {body:?}"))
            })
            .collect()
    }

    /// The text is nginx's log.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answers = TcpStream::connect(("127.0.0.1", self.front)).is_ok();
            let ended = self.child.try_wait().unwrap().is_some();
            if answers && !ended {
                return Ok(());
            }
            if ended || Instant::now() > deadline {
                return Err(std::fs::read_to_string(self.directory.join("error.log")).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One process, no workers of its own: `master_process off`.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Ports that were free a moment ago. All are held until all are known, so that no two are the same.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Everything nginx writes is inside its prefix, so that it runs as any user.
fn configuration(front: u16, servers: &[Server]) -> String {
    let mut text = String::from(
        "daemon off; master_process off; pid nginx.pid; error_log error.log;\n\
         events { worker_connections 256; }\n\
         http {\n  access_log off; keepalive_requests 100000;\n\
         client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
         upstream servers {\n    hash $arg_k consistent;\n",
    );
    for server in servers {
        let down = if server.down { " down" } else { "" };
        writeln!(text, "    server {} weight={}{down};", server.name, server.weight).unwrap();
    }
    writeln!(text, "  }}\n  server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://servers; }} }}").unwrap();
    for server in servers {
        writeln!(text, "  server {{ listen {}; return 200 \"{}\"; }}", server.name, server.port).unwrap();
    }
    text + "}\n"
}

/// Reads one answer with a `content-length`, and gives its body.
fn read_answer(reader: &mut impl BufRead) -> String {
    let mut length = None;
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "nginx closed the connection");
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length.expect("an answer without content-length")];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}
