use std::sync::Arc;

use super::{BATCH, Ended, Outcomes, ROOM};
use crate::exchange::Outcome;
use crate::fault::Fault;
use crate::plugin::{FailureKind, Hook};
use crate::telemetry::Telemetry;

fn ended(endpoint: u64) -> Ended {
    Ended { outcome: Outcome { endpoint, status: Some(200), fault: None }, latency_us: 7 }
}

fn queue() -> (Arc<Telemetry>, Outcomes) {
    let telemetry = Telemetry::new().unwrap();
    let cells = telemetry.plugin(&Arc::from("router"), &Arc::from("1"), None, 0, &Hook::NAMES, &FailureKind::NAMES);
    (telemetry, Outcomes::new(cells))
}

fn lost(telemetry: &Telemetry) -> u64 {
    let text = String::from_utf8(telemetry.render()).unwrap();
    let line = text.lines().find(|line| line.starts_with("plugway_outcomes_lost_total{plugin=\"router\"}")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn says_when_a_batch_waits_and_gives_the_oldest_first() {
    let (telemetry, outcomes) = queue();
    assert!(outcomes.take().is_empty());
    for endpoint in 1..BATCH as u64 {
        assert!(!outcomes.push(3, ended(endpoint)));
    }
    assert!(outcomes.push(4, ended(64)));
    assert!(outcomes.push(3, Ended { outcome: Outcome { endpoint: 65, status: None, fault: Some(Fault::UpstreamReset) }, latency_us: 9 }));
    let batch = outcomes.take();
    assert_eq!(batch.iter().map(|told| told.outcome.endpoint).collect::<Vec<_>>(), (1..=64).collect::<Vec<_>>());
    assert_eq!((batch[62].config_id, batch[63].config_id), (3, 4));
    assert_eq!((batch[63].outcome.status, batch[63].outcome.fault.as_deref(), batch[63].latency_us), (Some(200), None, 7));
    let rest = outcomes.take();
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].outcome.status, rest[0].outcome.fault.as_deref(), rest[0].latency_us), (None, Some("upstream-reset"), 9));
    assert!(outcomes.take().is_empty());
    assert_eq!(lost(&telemetry), 0);
}

#[test]
fn what_finds_no_room_is_lost_and_counted_and_so_is_what_nobody_took() {
    let (telemetry, outcomes) = queue();
    let room = outcomes.waiting.borrow().capacity();
    for endpoint in 0..ROOM as u64 + 5 {
        outcomes.push(0, ended(endpoint));
    }
    assert_eq!(outcomes.waiting.borrow().capacity(), room, "it grew");
    assert_eq!(lost(&telemetry), 5);
    assert_eq!(outcomes.take().len(), BATCH);
    drop(outcomes);
    assert_eq!(lost(&telemetry), 5 + (ROOM - BATCH) as u64);
}
