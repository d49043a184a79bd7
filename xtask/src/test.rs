//! `cargo xtask test`: what CI and the README call.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use plugway_harness::error::Context;
use plugway_harness::{Error, Result, guests};

use crate::setup;
use crate::workspace::{GUEST_TARGET, cargo, root, shown};

/// The misbehaving guest: only ever built for wasm, by the tests that load it.
const GUEST: &str = "plugway-test-guest";

/// `cargo xtask test`
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    let mut tally = Tally::default();
    run_tests(&mut tally)?;
    tally.conclude()
}

fn run_tests(tally: &mut Tally) -> Result<()> {
    tally.follow("workspace", &mut cargo(["test", "--workspace", "--locked", "--no-fail-fast", "--exclude", GUEST]))?;
    let example = root().join("examples").join("hello-plugin");
    for line in commands(&example.join("README.md"))? {
        let mut command = Command::new("sh");
        // The folder itself stays as it was copied.
        command.args(["-c", &line]).current_dir(&example).env("CARGO_TARGET_DIR", guests::target().join("hello-plugin"));
        tally.follow(&format!("examples/hello-plugin: {line}"), &mut command)?;
    }
    Ok(())
}

/// The cargo commands in a README's shell blocks: what it promises is what is tested. Other commands there, such as starting a
/// gateway, are the whole-system tests' part.
fn commands(readme: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(readme).context(readme.display())?;
    let found = cargo_lines(&text);
    for wanted in ["cargo test", GUEST_TARGET] {
        if !found.iter().any(|line| line.contains(wanted)) {
            return Err(Error::new(format!("{} has no shell block with `{wanted}`", readme.display())));
        }
    }
    Ok(found)
}

fn cargo_lines(text: &str) -> Vec<String> {
    let mut shell = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(language) = line.strip_prefix("```") {
            shell = !shell && matches!(language, "sh" | "bash" | "console" | "shell");
        } else if shell {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            if line.starts_with("cargo ") {
                found.push(line.to_owned());
            }
        }
    }
    found
}

/// What test runners said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    broken: Vec<String>,
    /// Tests that failed, with the last of what they printed: that is thousands of lines above the end, and a record of a run may keep its end alone.
    failures: Vec<Failure>,
    /// Which of them the runner is just telling the output of.
    telling: Option<usize>,
}

/// Lines of a failed test's output that are said again at the end: its panic and what led to it.
const SAID_AGAIN: usize = 20;

#[derive(Debug, Default, PartialEq, Eq)]
struct Failure {
    name: String,
    said: VecDeque<String>,
}

impl Failure {
    fn say(&mut self, line: &str) {
        if self.said.len() == SAID_AGAIN {
            self.said.pop_front();
        }
        self.said.push_back(line.to_owned());
    }
}

impl Tally {
    /// Runs a command, shows what it prints, and adds up the results in it. A command that fails is remembered, so that one
    /// run shows everything that is wrong.
    fn follow(&mut self, what: &str, command: &mut Command) -> Result<()> {
        println!("$ {}", shown(command));
        // Cargo and libtest cannot see the terminal behind the pipe.
        if std::io::stdout().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        let status = self.read(command)?;
        if !status.success() {
            self.broken.push(format!("{what} ended with {status}"));
        }
        Ok(())
    }

    fn read(&mut self, command: &mut Command) -> Result<ExitStatus> {
        let line = shown(command);
        let mut child = command.stdout(Stdio::piped()).spawn().context(&line)?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.context("output")?;
                self.count(&String::from_utf8_lossy(&line));
                let mut out = std::io::stdout().lock();
                out.write_all(&line).and_then(|()| out.write_all(b"\n")).context("standard output")?;
            }
        }
        child.wait().context(&line)
    }

    /// `test result: ok. 12 passed; 0 failed; 1 ignored; …`, `test name ... FAILED` and, below `---- name stdout ----`, what it printed, as libtest
    /// prints them.
    fn count(&mut self, line: &str) {
        if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... "))
            && outcome.contains("FAILED")
        {
            self.failures.push(Failure { name: name.to_owned(), ..Failure::default() });
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----")) {
            // Two runners may have a test of the same name: the last one told of is this runner's.
            self.telling = self.failures.iter().rposition(|failure| failure.name == name);
            return;
        }
        // Where a panic came from is for who reads all of it.
        if line == "failures:" || line.trim() == "stack backtrace:" {
            self.telling = None;
        }
        if let Some(failure) = self.telling.and_then(|at| self.failures.get_mut(at)).filter(|_| !line.is_empty()) {
            failure.say(line);
        }
        let Some((_, result)) = line.split_once("test result:") else { return };
        let words: Vec<&str> = result.split_whitespace().collect();
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what.trim_end_matches(';') {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    fn conclude(&self) -> Result<()> {
        for broken in &self.broken {
            println!("broken: {broken}");
        }
        for Failure { name, said } in &self.failures {
            println!("failed: {name}");
            said.iter().for_each(|line| println!("    {line}"));
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.ignored);
        if self.passed == 0 {
            return Err(Error::new("no test ran"));
        }
        if self.failed > 0 || !self.broken.is_empty() {
            return Err(Error::new("the tests failed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_runners_add_up() {
        let mut tally = Tally::default();
        tally.count("running 3 tests");
        tally.count("test a::b ... \u{1b}[31mFAILED\u{1b}[0m");
        tally.count("test a::c ... ok");
        tally.count("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s");
        for line in
            ["failures:", "", "---- a::b stdout ----", "one", "", "two", "stack backtrace:", "   0: three", "", "failures:", "    a::b"]
        {
            tally.count(line);
        }
        tally.count("test result: \u{1b}[31mFAILED\u{1b}[0m. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        let failure = Failure { name: "a::b".to_owned(), said: ["one", "two"].map(str::to_owned).into() };
        assert_eq!(tally, Tally { passed: 7, failed: 2, ignored: 1, failures: vec![failure], ..Tally::default() });
        assert!(tally.conclude().is_err());
        assert!(Tally::default().conclude().is_err(), "no test is no success");
        assert!(Tally { passed: 1, ..Tally::default() }.conclude().is_ok());
    }

    #[test]
    fn of_a_test_that_says_much_the_end_is_said_again() {
        let mut failure = Failure::default();
        (0..=SAID_AGAIN).for_each(|line| failure.say(&line.to_string()));
        assert_eq!((failure.said.len(), failure.said.front().map(String::as_str)), (SAID_AGAIN, Some("1")));
    }

    #[test]
    fn commands_come_from_shell_blocks_alone() {
        let text = "cargo no\n```toml\ncargo = 1\n```\n```sh\ncargo test\n$ cargo build --release\nplugway run\n```\ncargo no\n```\ncargo no\n```\n";
        assert_eq!(cargo_lines(text), ["cargo test", "cargo build --release"]);
    }
}
