//! A real Prometheus that scrapes one address every second.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;
use crate::error::{Context, Error, Result};
use crate::nginx::free_address;
use crate::peers::PROMETHEUS;
use crate::process;
use crate::raw::Raw;
use crate::temp::TempDir;

/// Longest wait until it accepts connections, and until it has ended.
const BOUND: Duration = Duration::from_secs(60);
/// Ports are tried this often: another process may take the one that was free a moment ago.
const TRIES: usize = 3;

/// A running Prometheus; it ends on drop.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `/metrics` of `target` as the job `plugway`, and evaluates these rules.
    ///
    /// # Errors
    /// When Prometheus is not installed, or does not start with these rules.
    pub fn start(target: SocketAddr, rules: &Path) -> Result<Self> {
        let binary = PROMETHEUS.find()?;
        let mut last = Error::new("no port was tried");
        for _ in 0..TRIES {
            let address = free_address()?;
            let directory = TempDir::new()?;
            let config = format!(
                "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{:?}]\nscrape_configs:\n  - job_name: plugway\n    static_configs: [{{targets: [\"{target}\"]}}]\n",
                rules.display().to_string()
            );
            let config = directory.write("prometheus.yml", config)?;
            let log = fs::File::create(directory.path().join("log")).context("Prometheus' log")?;
            let mut command = Command::new(&binary);
            command.arg(format!("--config.file={}", config.display()));
            command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
            command.args([format!("--web.listen-address={address}"), "--log.level=warn".to_owned()]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            let mut prometheus = Self { child: command.spawn().context(binary.display())?, address, directory };
            match prometheus.until_ready() {
                Ok(()) => return Ok(prometheus),
                Err(error) => last = Error::new(format!("Prometheus {error}: {}", prometheus.errors())),
            }
        }
        Err(last)
    }

    /// It accepts connections some time before it answers queries.
    fn until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + BOUND;
        process::until_accepting(&mut self.child, self.address, BOUND)?;
        loop {
            let mut raw = Raw::connect(self.address)?;
            raw.send("GET /-/ready HTTP/1.1\r\nhost: prometheus\r\nconnection: close\r\n\r\n")?;
            match raw.response()?.status {
                200 => return Ok(()),
                status if Instant::now() > deadline => return Err(Error::new(format!("is not ready: {status}"))),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// What a page of its API says, such as `rules`: the field `data` of the answer.
    ///
    /// # Errors
    /// When it does not answer, or with an error.
    pub async fn api(&self, page: &str) -> Result<Value> {
        let answer = Client::http(self.address, self.address.to_string()).get(&format!("/api/v1/{page}")).await?;
        let mut said = answer.json()?;
        if said.get("status").and_then(Value::as_str) != Some("success") {
            return Err(Error::new(format!("{page}: {}", answer.text())));
        }
        Ok(said.get_mut("data").map(Value::take).unwrap_or_default())
    }

    /// Every series that a query has now: its labels, and its value.
    ///
    /// # Errors
    /// As for [`Prometheus::api`], and when a value is no number.
    pub async fn query(&self, query: &str) -> Result<Vec<(Value, f64)>> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let data = self.api(&format!("query?query={encoded}")).await?;
        let series = data.get("result").and_then(Value::as_array).context(query)?;
        let value = |series: &Value| series.pointer("/value/1").and_then(Value::as_str).and_then(|value| value.parse().ok());
        series.iter().map(|series| Ok((series.get("metric").cloned().unwrap_or_default(), value(series).context(query)?))).collect()
    }

    /// Its log so far.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        process::end(&mut self.child, BOUND);
    }
}
