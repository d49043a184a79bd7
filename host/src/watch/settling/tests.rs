use super::*;

const QUIET: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(10);

/// A settling, and milliseconds since its beginning.
struct Scene {
    settling: Settling,
    began: Instant,
}

impl Scene {
    fn new() -> Self {
        Self { settling: Settling::new(QUIET, PATIENCE), began: Instant::now() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    fn change(&mut self, ms: u64, file: &str, change: Change) {
        let now = self.at(ms);
        self.settling.changed(now, Path::new(file), change);
    }

    /// When a look is due, in milliseconds.
    fn due(&self) -> Option<u64> {
        self.settling.due().map(|due| u64::try_from(due.duration_since(self.began).as_millis()).unwrap())
    }

    fn look(&self, ms: u64) -> Option<bool> {
        self.settling.look(self.at(ms)).map(|look| look.is_last)
    }
}

#[test]
fn nothing_is_looked_at_while_nothing_happens() {
    let scene = Scene::new();
    assert_eq!((scene.due(), scene.look(1_000_000)), (None, None));
}

#[test]
fn a_file_that_was_renamed_into_place_is_looked_at_after_a_quiet_moment() {
    let mut scene = Scene::new();
    scene.change(0, "a", Change::Replaced);
    assert_eq!((scene.due(), scene.look(249)), (Some(250), None));
    assert_eq!(scene.look(250), Some(false));
    scene.settling.looked();
    assert_eq!(scene.due(), None);
}

#[test]
fn twenty_files_in_a_row_are_one_look() {
    let mut scene = Scene::new();
    for number in 0..20 {
        let file = format!("{number}");
        scene.change(number * 100, &file, Change::Written);
        assert_eq!(scene.look(number * 100 + 99), None);
        scene.change(number * 100 + 99, &file, Change::Closed);
    }
    assert_eq!(scene.due(), Some(1_999 + 250));
}

#[test]
fn a_writer_that_keeps_its_file_open_is_waited_for() {
    let mut scene = Scene::new();
    scene.change(0, "a", Change::Replaced);
    scene.change(1, "a", Change::Written);
    assert_eq!(scene.look(5_000), None, "it pauses");
    scene.change(5_000, "a", Change::Written);
    scene.change(5_001, "b", Change::Replaced);
    assert_eq!(scene.look(9_000), None, "others do not end the wait");
    scene.change(9_000, "a", Change::Closed);
    assert_eq!((scene.due(), scene.look(9_250)), (Some(9_250), Some(false)));
}

#[test]
fn a_writer_that_never_closes_is_not_waited_for_for_ever() {
    let mut scene = Scene::new();
    scene.change(0, "a", Change::Written);
    assert_eq!((scene.look(9_999), scene.look(10_000)), (None, Some(true)));
}

#[test]
fn a_file_that_is_not_whole_is_looked_at_when_more_comes() {
    let mut scene = Scene::new();
    scene.change(0, "a", Change::Closed);
    assert_eq!(scene.look(250), Some(false));
    scene.settling.was_not_whole();
    assert_eq!(scene.look(4_999), None);
    scene.change(5_000, "a", Change::Written);
    scene.change(5_001, "a", Change::Closed);
    assert_eq!((scene.due(), scene.look(5_251)), (Some(5_251), Some(false)));
}

#[test]
fn a_file_that_never_becomes_whole_is_looked_at_for_the_last_time() {
    let mut scene = Scene::new();
    scene.change(0, "a", Change::Closed);
    scene.settling.was_not_whole();
    assert_eq!((scene.look(9_999), scene.look(10_000)), (None, Some(true)));
}

#[test]
fn a_file_that_is_removed_while_it_is_written_is_written_by_nobody() {
    let mut scene = Scene::new();
    scene.change(0, "a", Change::Written);
    scene.change(10, "a", Change::Replaced);
    assert_eq!(scene.due(), Some(260));
}

#[test]
fn files_that_are_always_busy_are_looked_at_all_the_same() {
    let mut scene = Scene::new();
    for ms in (0..40_000).step_by(100) {
        scene.change(ms, "a", Change::Closed);
        if let Some(is_last) = scene.look(ms) {
            assert!(is_last && ms == 30_000);
            return;
        }
    }
    panic!("it was never looked at");
}

#[test]
fn what_has_no_part_in_it_does_not_put_off_the_look() {
    let mut scene = Scene::new();
    for ms in [0, 100, 200] {
        let now = scene.at(ms);
        scene.settling.noticed(now);
    }
    assert_eq!(scene.look(250), Some(false));
}

#[test]
fn a_look_that_has_to_wait_is_due_again() {
    let mut scene = Scene::new();
    scene.change(0, "a", Change::Replaced);
    let now = scene.at(250);
    scene.settling.again(now, Duration::from_millis(500));
    assert_eq!((scene.look(700), scene.look(750)), (None, Some(false)));
}
