//! The steady load: h2load over HTTP/1.1 at a fixed rate, until it is told to end.
//!
//! h2load wants to know beforehand for how long, and shows nothing of what it counted when it is ended by a signal. So it runs in
//! rounds, and in two halves whose rounds do not end together: while one half begins anew the other one goes on.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use plugway_harness::error::Context;
use plugway_harness::peers::H2LOAD;
use plugway_harness::temp::TempDir;
use plugway_harness::{Error, Result, process};

use crate::bench::quantile;

/// Of each half.
const CONNECTIONS: u32 = 8;
/// Requests a second, both halves together.
pub(super) const RATE: u32 = 1_600;
/// How long a round is.
pub(super) const ROUND: Duration = Duration::from_secs(6);
/// For the end of a round, when it should have ended.
const END: Duration = Duration::from_secs(15);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);

/// A load. Dropping it ends it, and what it saw is lost.
pub(super) struct Load {
    word: Arc<Word>,
    halves: Vec<JoinHandle<Result<Seen>>>,
    /// Where the rounds write.
    _directory: TempDir,
}

/// What it saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loaded {
    pub(super) requests: u64,
    /// Not answered, or with another status than 200.
    pub(super) failures: u64,
    /// What h2load was told to keep up, answered: 0 to 1.
    pub(super) kept_up: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) longest_us: f64,
}

/// What its halves are told.
#[derive(Debug, Default)]
struct Word {
    /// No further round.
    enough: AtomicBool,
    /// Not even this one.
    stop: AtomicBool,
}

/// Half of it, at work.
struct Half {
    address: SocketAddr,
    word: Arc<Word>,
    log: PathBuf,
    output: PathBuf,
}

#[derive(Debug, Default)]
struct Seen {
    latencies: Vec<f64>,
    failures: u64,
    lasted: Duration,
}

// === impl Load ===

impl Load {
    /// Rounds are whole seconds, two at least.
    pub(super) fn start(address: SocketAddr, round: Duration) -> Result<Self> {
        let (word, directory) = (Arc::new(Word::default()), TempDir::new()?);
        let start = |(name, first): (&str, Duration)| {
            let (log, output) = (directory.path().join(format!("{name}-requests")), directory.path().join(name));
            let half = Half { address, word: Arc::clone(&word), log, output };
            std::thread::Builder::new().name(name.to_owned()).spawn(move || half.run(first, round))
        };
        let halves = [("load-one", round), ("load-two", round / 2)].into_iter().map(start).collect::<std::io::Result<_>>();
        Ok(Self { halves: halves.context("thread")?, word, _directory: directory })
    }

    /// Whether it goes on: it does not end by itself.
    pub(super) fn goes_on(&self) -> bool {
        !self.halves.iter().any(JoinHandle::is_finished)
    }

    /// Ends it with the rounds that run.
    pub(super) fn finish(mut self) -> Result<Loaded> {
        self.word.enough.store(true, Ordering::SeqCst);
        let mut seen = Seen::default();
        for half in self.halves.drain(..) {
            let half = half.join().map_err(|_| Error::new("half of the load panicked"))??;
            seen.latencies.extend(half.latencies);
            seen.failures += half.failures;
            seen.lasted += half.lasted;
        }
        let mut latencies = seen.latencies;
        latencies.sort_by(f64::total_cmp);
        Ok(Loaded {
            requests: latencies.len() as u64,
            failures: seen.failures,
            kept_up: latencies.len() as f64 / (f64::from(RATE / 2) * seen.lasted.as_secs_f64()),
            p50_us: quantile(&latencies, 0.5)?,
            p99_us: quantile(&latencies, 0.99)?,
            longest_us: quantile(&latencies, 1.0)?,
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.word.stop.store(true, Ordering::SeqCst);
        self.halves.drain(..).for_each(|half| drop(half.join()));
    }
}

// === impl Half ===

impl Half {
    fn run(&self, first: Duration, round: Duration) -> Result<Seen> {
        let (began, mut seen, mut length) = (Instant::now(), Seen::default(), first);
        while !self.word.enough.load(Ordering::SeqCst) {
            self.round(length, &mut seen)?;
            length = round;
        }
        // Between rounds nothing is sent: that is in it, too.
        seen.lasted = began.elapsed();
        Ok(seen)
    }

    fn round(&self, length: Duration, seen: &mut Seen) -> Result<()> {
        let written = File::create(&self.output).context(self.output.display())?;
        // h2load goes on at the end of it.
        File::create(&self.log).context(self.log.display())?;
        let mut child = Command::new(H2LOAD.find()?)
            .args(["--h1", "-t1", &format!("-c{CONNECTIONS}"), &format!("-D{}", length.as_secs())])
            .arg(format!("--rps={}", RATE / 2 / CONNECTIONS))
            .arg(format!("--log-file={}", self.log.display()))
            .arg(format!("http://{}/", self.address))
            .stdin(Stdio::null())
            .stderr(written.try_clone().context("h2load's output")?)
            .stdout(written)
            .spawn()
            .context("h2load")?;
        let ended = self.wait(&mut child, Instant::now() + length + END);
        process::end(&mut child, Duration::from_secs(1));
        ended?;
        let text = std::fs::read_to_string(&self.output).context(self.output.display())?;
        let (failures, mut others) = (failures(&text)?, 0);
        for line in BufReader::new(File::open(&self.log).context(self.log.display())?).lines() {
            let (status, latency) = request(&line.context(self.log.display())?)?;
            others += u64::from(status != 200);
            seen.latencies.push(latency);
        }
        seen.failures += failures.max(others);
        Ok(())
    }

    fn wait(&self, child: &mut Child, deadline: Instant) -> Result<()> {
        loop {
            match child.try_wait().context("h2load")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let text = std::fs::read_to_string(&self.output).unwrap_or_default();
                    return Err(Error::new(format!("h2load ended with {status}: {text}")));
                }
                None if self.word.stop.load(Ordering::SeqCst) => return Err(Error::new("the load was stopped")),
                None if Instant::now() > deadline => return Err(Error::new("h2load does not end")),
                None => std::thread::sleep(LOOK),
            }
        }
    }
}

/// `requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout`; failed ones include errored ones, and
/// statuses from 400 on.
fn failures(text: &str) -> Result<u64> {
    let line = text.lines().find(|line| line.starts_with("requests: ")).context(format!("h2load counted nothing: {text}"))?;
    let count = |what: &str| {
        line.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse::<u64>().ok()).context(format!("{what} in {line}"))
    };
    Ok((count(" failed")?.max(count(" errored")?)).max(count(" timeout")?))
}

/// A line of `--log-file`: start, status and duration in microseconds (h2load(1)).
fn request(line: &str) -> Result<(i32, f64)> {
    let mut columns = line.split('\t').skip(1);
    let mut next = || columns.next().context(format!("h2load's log: {line:?}"));
    Ok((next()?.parse().context(line)?, next()?.parse().context(line)?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use plugway_harness::upstream::Upstream;

    use super::*;

    #[test]
    fn failures_are_counted() {
        let text = "\nrequests: 120 total, 120 started, 120 done, 117 succeeded, 3 failed, 1 errored, 0 timeout\n";
        assert_eq!(failures(text).unwrap(), 3);
        assert!(failures("nothing").is_err());
    }

    #[test]
    fn requests_are_read() {
        assert_eq!(request("1700000000000000\t200\t312").unwrap(), (200, 312.0));
        assert_eq!(request("1700000000000000\t-1\t9").unwrap(), (-1, 9.0));
        assert!(request("200").is_err());
    }

    #[test]
    fn it_goes_on_for_longer_than_a_round_until_it_is_told_to_end() {
        let upstream = Upstream::plain("up").unwrap();
        let load = Load::start(upstream.address(), Duration::from_secs(2)).unwrap();
        let began = Instant::now();
        // The first rounds were of eight connections each, so there were others after them.
        while upstream.connections() < 4 * u64::from(CONNECTIONS) {
            assert!(load.goes_on() && began.elapsed() < Duration::from_secs(30), "{} connections", upstream.connections());
            std::thread::sleep(LOOK);
        }
        let loaded = load.finish().unwrap();
        assert_eq!(loaded.failures, 0);
        assert!(loaded.requests > 0 && loaded.requests <= upstream.requests(), "{loaded:?} of {}", upstream.requests());
        let served = upstream.requests();
        std::thread::sleep(LOOK * 10);
        assert_eq!(upstream.requests(), served, "it has not ended");
    }

    #[test]
    fn where_nobody_answers_it_has_failures_or_ends() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let load = Load::start(nobody, Duration::from_secs(2)).unwrap();
        assert!(load.finish().map_or(true, |loaded| loaded.failures > 0));
    }

    #[test]
    fn dropped_it_ends_at_once() {
        let upstream = Upstream::plain("up").unwrap();
        let load = Load::start(upstream.address(), Duration::from_secs(600)).unwrap();
        while upstream.connections() == 0 {
            std::thread::sleep(LOOK);
        }
        drop(load);
        let served = upstream.requests();
        std::thread::sleep(LOOK * 10);
        assert_eq!(upstream.requests(), served);
    }
}
