//! The access log as operators have it: formats, chosen fields, redaction, sampling, files that are rotated; and what the lines of
//! plugins say beside their text. And who need not wait for a log's reader.

use std::path::Path;
use std::time::Duration;

use plugway_harness::gateway::{Gateway, Launch, Line};
use plugway_harness::upstream::Upstream;
use rustix::process::Signal;

use crate::common::{BINARY, ask, metric, one_route, one_upstream, start, status, until, web, wire};
use crate::guest::{config, get, guest, route};

/// For what must come, on a machine with neighbours too.
const PATIENCE: Duration = Duration::from_secs(40);
/// It does in its request filter what a request's header says.
const GUEST: &str = "mode = \"by-header\", hook = \"request-filter\"";

/// Lines that hold a text, once there are so many.
fn lines(gateway: &Gateway, text: &str, count: usize) -> Vec<Line> {
    let found = || gateway.log().lines().into_iter().filter(|line| line.text.contains(text)).collect::<Vec<_>>();
    until(&format!("{count} lines with {text:?} in {}", gateway.log().text()), || found().len() >= count);
    found()
}

fn read(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn a_combined_line_is_apaches_and_holds_no_secret() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[access_log]\nformat = \"combined\""));
    let request =
        "GET /a%20b?x=1&access_token=s3cret HTTP/1.1\nhost: a\nreferer: https://b/?code=s3cret\nuser-agent: curl \"7\"\ncookie: s3cret\n\n";
    let length = ask(&gateway, request).body.len();
    let line = lines(&gateway, "GET /a%20b", 1).remove(0).text;
    let (before, after) = line.split_once(" [").unwrap();
    assert_eq!(before, "127.0.0.1 - -");
    let (time, rest) = after.split_once("] ").unwrap();
    assert!(time.len() == "26/Nov/2026:04:05:06 +0000".len() && time.ends_with(" +0000"), "{line}");
    let expected =
        format!("\"GET /a%20b?x=1&access_token=[redacted] HTTP/1.1\" 200 {length} \"https://b/?code=[redacted]\" \"curl \\\"7\\\"\"");
    assert_eq!(rest, expected);
    assert!(!gateway.log().text().contains("s3cret"));
}

#[test]
fn a_common_line_ends_where_a_combined_one_goes_on() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[access_log]\nformat = \"common\""));
    let request = "GET /a%20b?x=1&token=s3cret HTTP/1.1\nhost: a\nreferer: https://b/\nuser-agent: curl\n\n";
    let length = ask(&gateway, request).body.len();
    let line = lines(&gateway, "GET /a%20b", 1).remove(0).text;
    let (before, after) = line.split_once(" [").unwrap();
    let (time, rest) = after.split_once("] ").unwrap();
    assert!(time.len() == "26/Nov/2026:04:05:06 +0000".len() && time.ends_with(" +0000"), "{line}");
    let expected = format!("\"GET /a%20b?x=1&token=[redacted] HTTP/1.1\" 200 {length}");
    assert_eq!((before, rest), ("127.0.0.1 - -", expected.as_str()));
}

#[test]
fn chosen_fields_are_all_a_line_has_and_what_is_named_secret_is_not_shown() {
    let upstream = Upstream::plain("up").unwrap();
    let fields = "fields = [\"status\", \"query\", \"request.x-who\", \"request.x-session\", \"request.authorization\", \"response.content-type\", \"attribute.misbehaving.large\"]";
    let log = format!("[access_log]\n{fields}\nredact_headers = [\"X-Session\"]\nredact_parameters = [\"Invite\"]");
    let gateway = start(&config(&upstream, &[&guest("misbehaving", GUEST, ""), &route("plugins = [\"misbehaving\"]"), &log]));
    ask(
        &gateway,
        "GET /?a=1&INVITE=s3cret&token=s3cret HTTP/1.1\nhost: a\nx-misbehave: attribute-bytes:3\nx-who: me\u{e9}\nx-session: s3cret\nauthorization: Bearer s3cret\n\n",
    );
    let line = lines(&gateway, "\"target\":\"access\"", 1).remove(0);
    let json = line.json.as_ref().unwrap().as_object().unwrap();
    assert_eq!(json["query"], "a=1&INVITE=[redacted]&token=[redacted]", "{}", line.text);
    assert_eq!((&json["request.x-who"], &json["request.x-session"]), (&"me\u{e9}".into(), &"[redacted]".into()), "{}", line.text);
    assert_eq!(json["request.authorization"], "[redacted]");
    assert!(json["response.content-type"].is_string(), "{}", line.text);
    assert_eq!(json["attribute.misbehaving.large"], "aaa", "{}", line.text);
    assert!(!json.contains_key("path") && json.contains_key("timestamp"), "{}", line.text);
    assert!(!gateway.stop().unwrap().iter().any(|line| line.text.contains("s3cret")));
}

#[test]
fn a_sampled_log_has_every_failure() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[access_log]\nsample = \"0%\"").replace("\"/*\"", "\"/a/*\""));
    for number in 0..20 {
        assert_eq!(ask(&gateway, &format!("GET /a/{number} HTTP/1.1\nhost: a\n\n")).status, 200);
        assert_eq!(ask(&gateway, &format!("GET /missing/{number} HTTP/1.1\nhost: a\n\n")).status, 404);
    }
    assert_eq!(ask(&gateway, "GET /a/gone HTTP/1.1\nhost: a\nx-behave: /close\n\n").status, 502);
    let stopped = gateway.stop().unwrap();
    let access: Vec<_> = stopped.iter().filter(|line| line.field("target") == Some("access")).collect();
    assert_eq!(access.len(), 21);
    let (last, missing) = access.split_last().unwrap();
    assert!(missing.iter().all(|line| line.field("fault") == Some("no-route") && line.field("endpoint").is_none()));
    // Nobody answered; who did not is what an operator asks next.
    assert_eq!((last.field("fault"), last.field("blame")), (Some("upstream-reset"), Some("upstream")), "{}", last.text);
    assert_eq!(last.field("endpoint"), Some(upstream.url().as_str()), "{}", last.text);
}

#[test]
fn a_file_that_is_rotated_is_followed_and_no_line_is_lost() {
    let upstream = Upstream::plain("up").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    let file = launch.directory().join("access.log");
    let mut gateway = launch.start(&one_route(&upstream, "[access_log]\nfile = \"access.log\"")).unwrap();
    let rotated = file.with_extension("log.1");
    assert_eq!(ask(&gateway, "GET /before HTTP/1.1\nhost: a\n\n").status, 200);
    until("the first line is written", || read(&file).len() == 1);
    std::fs::rename(&file, &rotated).unwrap();
    until("the file is made anew", || file.exists());
    assert_eq!(ask(&gateway, "GET /after HTTP/1.1\nhost: a\n\n").status, 200);
    until("the next line is in it", || read(&file).len() == 1);
    assert!(read(&rotated)[0].contains("/before") && read(&file)[0].contains("/after"));
    assert!(!gateway.log().lines().iter().any(|line| line.field("target") == Some("access")));

    // What is under way when the gateway ends is written before it has ended.
    let mut client = web(&gateway);
    for number in 0..50 {
        client.send(wire(&format!("GET /last/{number} HTTP/1.1\nhost: a\n\n"))).unwrap();
        client.response().unwrap();
    }
    drop(client);
    gateway.signal(Signal::TERM).unwrap();
    gateway.wait(PATIENCE).unwrap();
    assert_eq!(read(&file).len(), 51);
}

#[test]
fn what_is_switched_on_by_a_reload_is_written_from_then_on_and_the_file_stays() {
    let upstream = Upstream::plain("up").unwrap();
    let text = |log: &str| one_route(&upstream, log);
    let gateway = start(&text("[access_log]\nenabled = false\n"));
    assert_eq!(ask(&gateway, "GET /off HTTP/1.1\nhost: a\n\n").status, 200);
    std::fs::write(gateway.directory().join("plugway.toml"), text("[access_log]\nfields = [\"path\"]\n")).unwrap();
    until("the reload has swapped", || metric(&gateway, "plugway_reloads_total", &["swapped"]) == 1.0);
    assert_eq!(ask(&gateway, "GET /on HTTP/1.1\nhost: a\n\n").status, 200);
    assert_eq!(lines(&gateway, "\"path\":\"/on\"", 1).len(), 1);
    assert!(!gateway.log().text().contains("\"/off\""));

    std::fs::write(gateway.directory().join("plugway.toml"), text("[access_log]\nfile = \"access.log\"\n")).unwrap();
    until("the reload is rejected", || metric(&gateway, "plugway_reloads_total", &["rejected"]) == 1.0);
    assert!(status(&gateway).to_string().contains("access_log.file"));
}

#[test]
fn a_file_that_cannot_be_written_to_is_a_problem_at_the_start() {
    let upstream = Upstream::plain("up").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    let failed = launch.start(&one_route(&upstream, "[access_log]\nfile = \"no-such-folder/access.log\"")).unwrap_err().to_string();
    assert!(failed.contains("access_log.file: this file cannot be written to: No such file or directory"), "{failed}");
}

#[test]
fn lines_that_nobody_takes_are_dropped_and_counted_and_requests_do_not_wait() {
    let upstream = Upstream::plain("up").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    // Every write to it fails, as on a full disk.
    let gateway = launch.start(&one_route(&upstream, "[access_log]\nfile = \"/dev/full\"")).unwrap();
    for _ in 0..10 {
        assert_eq!(ask(&gateway, "GET / HTTP/1.1\nhost: a\n\n").status, 200);
    }
    until("the lines are counted", || metric(&gateway, "plugway_access_lines_lost_total", &[]) == 10.0);
    let said = |line: &Line| line.message().starts_with("The access log cannot be written");
    assert!(gateway.log().wait(PATIENCE, said).is_some());
    assert_eq!(gateway.stop().unwrap().iter().filter(|line| said(line)).count(), 1, "it is said once");
}

#[test]
fn a_line_of_a_plugin_says_which_version_wrote_it_for_which_request() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&config(&upstream, &[&guest("misbehaving", GUEST, ""), &route("plugins = [\"misbehaving\"]")]));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let answer = get(gateway.address("web").unwrap(), "/", &[("x-misbehave", "log-flood:1"), ("traceparent", &parent)]);
    let id = String::from_utf8(answer.header("x-request-id").unwrap().to_vec()).unwrap();
    let line = lines(&gateway, "line 0", 1).remove(0);
    let digest = status(&gateway)["plugins"][0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(line.field("plugin"), Some("misbehaving"), "{}", line.text);
    assert_eq!(line.field("version"), digest.strip_prefix("sha256:").and_then(|digest| digest.get(..12)), "{}", line.text);
    assert_eq!(line.field("request_id"), Some(&*id), "{}", line.text);
    assert_eq!(line.field("trace_id"), Some(trace), "{}", line.text);
}

/// 64 KiB fit into a pipe, and some thousand lines wait beside it.
#[test]
fn a_log_that_nobody_reads_any_more_holds_up_no_request() {
    let reads_a_while = "exec 3>&2; exec 2> >( \
        for ((line = 0; line < 200; line++)); do IFS= read -r text && printf '%s\\n' \"$text\"; done >&3; exec sleep 120 3>&- >/dev/null 2>&1); \
        exec 3>&-; exec \"$0\" \"$@\"";
    let config = one_upstream(&["http://127.0.0.1:1".to_owned()], "", "[log]\nlevel = \"debug\"");
    let gateway = Launch::new(BINARY).unwrap().wrapper(["bash", "-c", reads_a_while]).start(&config).unwrap();
    let mut client = web(&gateway);
    for _ in 0..6_000 {
        client.send(wire("GET / HTTP/1.1\nhost: a\n\n")).unwrap();
        assert_eq!(client.response().unwrap().status, 502);
    }
    until("lines are dropped", || metric(&gateway, "plugway_log_lines_lost_total", &[]) > 0.0);
    gateway.stop().unwrap();
}
