//! `plugway top` where people look at it: on a terminal, live.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plugway_harness::gateway::Gateway;
use plugway_harness::process;
use plugway_harness::upstream::Upstream;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{BINARY, ask, one_route, start, until};

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const COLUMNS: usize = 100;

/// `plugway top` on a terminal that `script` of util-linux gives it, and all it has written.
struct Top {
    script: Child,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Top {
    fn start(gateway: &Gateway) -> Self {
        let admin = gateway.admin().unwrap();
        let command = format!("stty rows 30 columns {COLUMNS}; exec {BINARY} top --interval 1 --admin {admin}");
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"]);
        let mut script = script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (mut out, kept) = (script.stdout.take().unwrap(), Arc::clone(&written));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut bytes) {
                kept.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        });
        Self { script, written }
    }

    fn all(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Frames so far, without what moves the cursor and colours; the last one may be incomplete.
    fn frames(&self) -> Vec<String> {
        let plain = |frame: &str| {
            let mut parts = frame.split('\u{1b}');
            let first = parts.next().unwrap_or_default().to_owned();
            let rest = parts.map(|part| part.find(|letter: char| letter.is_ascii_alphabetic()).map_or("", |end| &part[end + 1..]));
            rest.fold(first, |mut text, part| {
                text.push_str(part);
                text
            })
        };
        self.all().split(HOME).skip(1).map(plain).collect()
    }

    /// The last frame that is whole.
    fn last(&self) -> Option<String> {
        let mut frames = self.frames();
        frames.pop();
        frames.pop()
    }

    /// What runs on the terminal.
    fn tell(&self, signal: Signal) {
        for pid in process::tree(self.script.id()).unwrap().into_iter().filter(|pid| *pid != self.script.id()) {
            kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
        }
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        process::end(&mut self.script, Duration::from_secs(10));
    }
}

/// Requests a second of a route in a frame.
fn rate(frame: &str, route: &str) -> Option<f64> {
    frame.lines().find(|line| line.starts_with(route))?.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn it_shows_what_happens_now_frame_by_frame_and_gives_the_screen_back() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, ""));
    let mut top = Top::start(&gateway);
    until("a frame", || top.last().is_some_and(|frame| frame.contains("REQ/S")));
    let frame = top.last().unwrap();
    assert!(top.all().starts_with(ENTER), "it leaves what stood on the screen alone");
    assert!(frame.contains("0 req/s") && frame.contains("ENDPOINT") && frame.contains(&upstream.url()), "{frame}");

    // What is counted between two looks is shown by the second one, and no longer by the next.
    (0..40).for_each(|_| assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200));
    let seen = || top.frames().iter().filter_map(|frame| rate(frame, "all")).collect::<Vec<_>>();
    until("the requests are shown", || seen().iter().sum::<f64>() >= 30.0);
    until("they are over", || top.last().and_then(|frame| rate(&frame, "all")) == Some(0.0));
    let rates = seen();
    assert!(rates.iter().sum::<f64>() <= 60.0, "a second each, more or less: {rates:?}");
    for frame in top.frames() {
        let lines: Vec<_> = frame.lines().collect();
        assert!(lines.len() <= 31 && lines.iter().all(|line| line.trim_end().chars().count() <= COLUMNS), "{frame}");
    }

    // A gateway that is away is waited for.
    gateway.stop().unwrap();
    until("it says that nobody is there", || top.last().is_some_and(|frame| frame.contains("refused") || frame.contains("connect")));
    top.tell(Signal::INT);
    let ended = top.script.wait().unwrap();
    assert!(ended.success(), "{ended}: {}", top.all());
    until("the screen is given back", || top.all().trim_end().ends_with(LEAVE));
}
