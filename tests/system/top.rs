//! `plugway top` where people look at it: on a terminal, live.

use plugway_harness::gateway::Gateway;
use plugway_harness::terminal::Terminal;
use plugway_harness::upstream::Upstream;
use rustix::process::Signal;

use crate::common::{BINARY, ask, one_route, start, until};

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const COLUMNS: usize = 100;

/// `plugway top`, and what it shows.
struct Top(Terminal);

impl Top {
    fn start(gateway: &Gateway) -> Self {
        let admin = gateway.admin().unwrap();
        let line = format!("stty rows 30 columns {COLUMNS}; exec {BINARY} top --interval 1 --admin {admin}");
        Self(Terminal::start(&line, gateway.directory()).unwrap())
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
        self.0.text().split(HOME).skip(1).map(plain).collect()
    }

    /// The last frame that is whole.
    fn last(&self) -> Option<String> {
        let mut frames = self.frames();
        frames.pop();
        frames.pop()
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
    assert!(top.0.text().starts_with(ENTER), "it leaves what stood on the screen alone");
    assert!(frame.contains("0 req/s") && frame.contains("ENDPOINT") && frame.contains(&upstream.url()), "{frame}");

    // What is counted between two looks is shown by the second one, and no longer by the next.
    (0..40).for_each(|_| assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200));
    // Of frames that are whole.
    let seen = || {
        let frames = top.frames();
        frames[..frames.len() - 1].iter().filter_map(|frame| rate(frame, "all")).collect::<Vec<_>>()
    };
    // A machine that is slow takes several seconds for a look, and then it is so much less a second.
    until("the requests are shown", || seen().iter().sum::<f64>() >= 10.0);
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
    top.0.signal(Signal::INT).unwrap();
    let ended = top.0.wait().unwrap();
    assert!(ended.success(), "{ended}: {}", top.0.text());
    until("the screen is given back", || top.0.text().trim_end().ends_with(LEAVE));
}
