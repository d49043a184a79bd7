//! A real nginx in a temporary folder, on a port of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::error::{Context, Error, Result};
use crate::peers::NGINX;
use crate::process;
use crate::temp::TempDir;

/// Longest wait until it accepts connections, and until it has ended.
const BOUND: Duration = Duration::from_secs(10);

/// Ports are tried this often: another process may take the one that was free a moment ago.
const TRIES: usize = 5;

/// A running nginx; master and workers end on drop.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Nginx {
    /// Starts nginx with one worker. `http` is given a free port of 127.0.0.1 and returns the content of the `http` block,
    /// which must listen there. `wrapper` runs the program, such as `["taskset", "-c", "0"]`, and may be empty.
    ///
    /// # Errors
    /// When nginx is not installed, or does not start with this configuration.
    pub fn start(wrapper: &[&str], http: impl Fn(u16) -> String) -> Result<Self> {
        let binary = NGINX.find()?;
        let mut last = Error::new("no port was tried");
        for _ in 0..TRIES {
            let address = free_address()?;
            let directory = TempDir::new()?;
            let config = directory.write("nginx.conf", configuration(&directory, &http(address.port())))?;
            let program = binary.to_string_lossy();
            let mut words = wrapper.iter().copied().chain([program.as_ref()]);
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words).arg("-p").arg(directory.path()).arg("-e").arg(directory.path().join("error.log")).arg("-c").arg(config);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut nginx = Self { child: command.spawn().context(binary.display())?, address, directory };
            match nginx.until_ready() {
                Ok(()) => return Ok(nginx),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn until_ready(&mut self) -> Result<()> {
        process::until_accepting(&mut self.child, self.address, BOUND)
            .map_err(|error| Error::new(format!("nginx {error}: {}", self.errors())))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The master's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its error log so far.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers on SIGTERM.
        process::end(&mut self.child, BOUND);
    }
}

fn configuration(directory: &TempDir, http: &str) -> String {
    let folder = directory.path().display();
    // Started by root it would run its worker as another user, who may not enter the folder.
    let user = if rustix::process::getuid().is_root() { "user root;\n" } else { "" };
    let temporary: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n")).concat();
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n\
         events {{ worker_connections 4096; }}\nhttp {{\n    access_log off;\n{temporary}{http}\n}}\n"
    )
}

/// An address of 127.0.0.1 that nothing listens on at the moment.
///
/// # Errors
/// When no port is to be had.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("a free port")?;
    listener.local_addr().context("a free port")
}
