//! A full disk: a limit of the operating system on how large a file may become, which the process meets as it would meet a full one.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{Counts, Scene, ask, metrics, sum, traffic};
use crate::common::{LOGGED, metric, status, until, until_logged};

#[test]
fn a_full_disk_stops_the_store_and_nothing_else() {
    let scene = Scene::new();
    let (gateway, mut counts) = (scene.start(), Counts::new());
    traffic(&gateway, &mut counts);
    scene.written(sum(&counts));

    let process = Pid::from_raw(i32::try_from(gateway.pid()).unwrap());
    let limit = |bytes: Option<u64>| prlimit(process, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    // No file may grow past its first page.
    limit(Some(4096));
    traffic(&gateway, &mut counts);
    until("the metric says so", || metric(&gateway, "plugway_store_writable", &[]) == 0.0);
    traffic(&gateway, &mut counts);
    // It serves on, and says so everywhere.
    assert_eq!(metrics(&gateway), counts);
    let shown = status(&gateway)["store"].clone();
    assert_eq!(shown["writable"], false, "{shown:#}");
    until("what is waiting is told", || metric(&gateway, "plugway_store_requests_waiting", &[]) == 92.0);
    assert!(metric(&gateway, "plugway_store_write_failures_total", &[]) >= 1.0);
    let line = gateway.log().wait(LOGGED, |line| line.message().contains("monitoring store cannot be written")).unwrap();
    assert_eq!(line.field("level"), Some("ERROR"), "{line:?}");
    assert_eq!(sum(&scene.stored("day")), 46, "nothing of it is in the store");

    // There is room again.
    limit(None);
    ask(&gateway, &mut counts, ("orders", "/orders/17", 200), 1);
    scene.written(sum(&counts));
    until("the metric says so", || metric(&gateway, "plugway_store_writable", &[]) == 1.0);
    assert_eq!(metric(&gateway, "plugway_store_requests_lost_total", &[]), 0.0);
    until_logged(&gateway, "monitoring store is written again");
    let told = metrics(&gateway);
    gateway.stop().unwrap();
    assert_eq!(scene.stored("day"), told);
    assert_eq!(scene.number("SELECT count(*) FROM pauses WHERE lost = 0"), 1);
}

#[test]
fn a_store_that_cannot_be_made_is_made_later() {
    let scene = Scene::new();
    // A folder stands where the file should be.
    std::fs::create_dir(scene.file()).unwrap();
    let (gateway, mut counts) = (scene.start(), Counts::new());
    traffic(&gateway, &mut counts);
    until("the metric says so", || metric(&gateway, "plugway_store_writable", &[]) == 0.0);
    std::fs::remove_dir(scene.file()).unwrap();
    scene.written(sum(&counts));
    gateway.stop().unwrap();
    assert_eq!(scene.stored("day"), counts);
}

#[test]
fn a_distribution_that_cannot_be_read_stops_nothing_and_is_said_once() {
    let scene = Scene::new();
    let (gateway, mut counts) = (scene.start(), Counts::new());
    traffic(&gateway, &mut counts);
    gateway.stop().unwrap();
    let broken =
        "UPDATE route_minute SET latency = x'6e6f'; UPDATE route_hour SET latency = x'6e6f'; UPDATE route_day SET latency = x'6e6f'";
    scene.connection().execute_batch(broken).unwrap();
    let gateway = scene.start();
    traffic(&gateway, &mut counts);
    scene.written(sum(&counts));
    until("it is counted", || metric(&gateway, "plugway_store_distributions_left_out_total", &[]) > 0.0);
    assert_eq!(metric(&gateway, "plugway_store_writable", &[]), 1.0);
    assert_eq!(metric(&gateway, "plugway_store_write_failures_total", &[]), 0.0);
    let lines = gateway.stop().unwrap();
    let said = lines.iter().filter(|line| line.message().starts_with("Distributions of latencies in the monitoring store cannot be read"));
    assert_eq!(said.count(), 1);
    assert_eq!(scene.stored("day"), counts);
}

#[test]
fn a_broken_store_is_put_aside_and_begun_anew() {
    let scene = Scene::new();
    std::fs::write(scene.file(), "no database at all, and longer than the header of one would be, which is a hundred bytes; this is more")
        .unwrap();
    let (gateway, mut counts) = (scene.start(), Counts::new());
    traffic(&gateway, &mut counts);
    gateway.stop().unwrap();
    assert_eq!(scene.stored("day"), counts);
    let aside = std::fs::read_dir(scene.folder.path()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().to_string_lossy().into_owned();
        name.starts_with("monitoring.db.broken-")
    });
    assert_eq!(aside.count(), 1, "what was there is kept");
}
