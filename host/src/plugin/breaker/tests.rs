use proptest::prelude::*;

use super::*;

const FILTER: Hook = Hook::RequestFilter;
const SECOND: Duration = Duration::from_secs(1);

/// A plugin on a worker, and a clock that only this test moves.
struct Scene {
    breakers: Breakers,
    now: Instant,
}

/// CPU time that failed calls of it may use within ten seconds.
const FAILED_CPU: Duration = Duration::from_millis(400);
/// What a loop costs with the default budget: ten milliseconds, a tick and a half, and an instance.
const LOOP: Duration = Duration::from_millis(16);

impl Scene {
    fn new() -> Self {
        Self { breakers: Breakers::new(FAILED_CPU), now: Instant::now() }
    }

    fn may_call(&self, hook: Hook, config: u32) -> bool {
        self.breakers.open_until(hook, config).is_none_or(|until| until <= self.now)
    }

    /// As a slot does: calls if it may. Says whether it did.
    fn call(&mut self, hook: Hook, config: u32, answers: bool) -> bool {
        let may = self.may_call(hook, config);
        if may && answers {
            self.breakers.answered(hook, config, self.now);
        } else if may {
            self.breakers.fault(hook, config, self.now);
        }
        may
    }

    /// As `call`, with a fault that costs so much.
    fn waste(&mut self, hook: Hook, config: u32, spent: Duration) -> bool {
        let may = self.call(hook, config, false);
        if may {
            self.breakers.wasted(hook, config, spent, self.now);
        }
        may
    }

    /// Fails as often as it is called, at most so often; says how often that was.
    fn fail(&mut self, hook: Hook, config: u32, times: usize) -> usize {
        (0..times).filter(|_| self.call(hook, config, false)).count()
    }

    fn open(&self) -> usize {
        self.breakers.open().count()
    }
}

#[test]
fn a_place_is_left_alone_after_five_faults_in_a_row() {
    let mut scene = Scene::new();
    for fault in 1..=4 {
        assert_eq!(scene.breakers.fault(FILTER, 0, scene.now), [], "fault {fault}");
        assert!(scene.may_call(FILTER, 0) && !scene.breakers.is_clear());
    }
    let opened = scene.breakers.fault(FILTER, 0, scene.now);
    assert_eq!(opened, [Opened { scope: Scope::Place(FILTER, 0), pause: SECOND, again: false }]);
    assert_eq!(scene.breakers.open_until(FILTER, 0), Some(scene.now + SECOND));
    // Neither the hook's other places nor the plugin's other hooks are concerned.
    assert!(scene.may_call(FILTER, 1) && scene.may_call(Hook::Authorizer, 0));
}

#[test]
fn an_answer_in_between_starts_the_count_again() {
    let mut scene = Scene::new();
    for _ in 0..100 {
        assert_eq!(scene.fail(FILTER, 0, 4), 4);
        assert!(scene.call(FILTER, 0, true));
        assert!(scene.breakers.is_clear());
    }
}

#[test]
fn answers_elsewhere_do_not_hide_a_broken_hook() {
    let mut scene = Scene::new();
    let mut faults = 0;
    for _ in 0..50 {
        assert!(scene.call(Hook::Authorizer, 0, true));
        faults += scene.fail(FILTER, 0, 1);
    }
    assert_eq!(faults, 5);
}

#[test]
fn the_pause_doubles_up_to_a_minute_and_an_answer_forgets_it() {
    let mut scene = Scene::new();
    scene.fail(FILTER, 0, 5);
    for seconds in [2, 4, 8, 16, 32, 60, 60, 60] {
        scene.now = scene.breakers.open_until(FILTER, 0).unwrap();
        assert!(scene.may_call(FILTER, 0), "a try is due");
        let opened = scene.breakers.fault(FILTER, 0, scene.now);
        assert_eq!(opened, [Opened { scope: Scope::Place(FILTER, 0), pause: Duration::from_secs(seconds), again: true }]);
        assert!(!scene.may_call(FILTER, 0), "only one try");
    }
    scene.now += Duration::from_secs(60);
    assert_eq!(scene.breakers.answered(FILTER, 0, scene.now), [Scope::Place(FILTER, 0)]);
    assert!(scene.breakers.is_clear());
    assert_eq!(scene.fail(FILTER, 0, 100), 5);
    assert_eq!(scene.breakers.open_until(FILTER, 0), Some(scene.now + SECOND));
}

#[test]
fn a_hook_that_fails_everywhere_is_left_alone_as_a_whole() {
    let mut scene = Scene::new();
    let faults: usize = (0..10_000).map(|config| scene.fail(FILTER, config, 3)).sum();
    assert_eq!(faults, 10);
    assert!(!scene.may_call(FILTER, 20_000) && scene.may_call(Hook::Router, 0));
    // One try for all of them, and its answer opens the way to all that were never left alone themselves.
    scene.now += SECOND;
    assert_eq!((0..10_000).map(|config| scene.fail(FILTER, config, 1)).sum::<usize>(), 1);
    scene.now += 2 * SECOND;
    assert!(scene.call(FILTER, 1, true) && scene.may_call(FILTER, 20_000));
    assert_eq!(scene.open(), 0);
}

#[test]
fn tries_of_a_place_that_is_known_to_be_bad_do_not_count_against_its_hook() {
    let mut scene = Scene::new();
    for _ in 0..100 {
        scene.fail(FILTER, 0, 10);
        scene.now += LONGEST_PAUSE;
    }
    assert_eq!(scene.breakers.open().collect::<Vec<_>>(), [Scope::Place(FILTER, 0)]);
}

#[test]
fn a_plugin_that_does_not_start_is_left_alone_at_once() {
    let mut scene = Scene::new();
    let opened = |pause, again| Some(Opened { scope: Scope::Start, pause, again });
    assert_eq!(scene.breakers.start_failed(scene.now), opened(SECOND, false));
    assert!(Hook::ALL.iter().all(|hook| !scene.may_call(*hook, 7)));
    assert_eq!(scene.breakers.start_failed(scene.now), opened(2 * SECOND, true));
    assert_eq!(scene.breakers.started(), Some(Scope::Start));
    assert_eq!(scene.breakers.started(), None);
    assert!(scene.breakers.is_clear());
}

#[test]
fn a_plugin_that_always_loops_takes_little_of_a_worker() {
    let mut scene = Scene::new();
    let (began, mut calls) = (scene.now, 0);
    while scene.now < began + Duration::from_secs(10) {
        calls += u32::from(scene.call(FILTER, 0, false));
        scene.now += Duration::from_millis(1);
    }
    // Ten milliseconds of budget and two ticks each: 1 % of these ten seconds.
    assert_eq!(calls, 5 + 3);
}

/// A steady load for a minute, `per_second`, each `nth` of which loops, at `places` in turn. The most that was wasted in any ten
/// seconds, and the share of the calls that were made.
fn bear(places: u32, nth: u32, per_second: u32) -> (Duration, f64) {
    let mut scene = Scene::new();
    let began = scene.now;
    let (mut loops, mut made, calls) = (std::collections::VecDeque::new(), 0_u32, 60 * per_second);
    let (mut wasted, mut most) = (Duration::ZERO, Duration::ZERO);
    for call in 0..calls {
        scene.now = scene.now.max(began + Duration::from_secs(1) * call / per_second);
        let place = call / nth % places;
        let is_loop = call % nth == nth - 1;
        let may = if is_loop { scene.waste(FILTER, place, LOOP) } else { scene.call(FILTER, place, true) };
        made += u32::from(may);
        if is_loop && may {
            loops.push_back(scene.now);
            wasted += LOOP;
            scene.now += LOOP;
        }
        while loops.front().is_some_and(|then| *then + wasted::WINDOW <= scene.now) {
            loops.pop_front();
            wasted -= LOOP;
        }
        most = most.max(wasted);
    }
    (most, f64::from(made) / f64::from(calls))
}

#[test]
fn whatever_share_of_its_calls_loops_it_takes_less_than_a_twentieth_of_its_worker() {
    for nth in [1, 2, 3, 5, 10, 50, 1000] {
        for places in [1, 7, 1000] {
            for per_second in [20, 500] {
                let (most, _) = bear(places, nth, per_second);
                assert!(most < FAILED_CPU + LOOP, "every {nth}th of {per_second} a second at {places} places: {most:?}");
            }
        }
    }
}

#[test]
fn who_loops_now_and_then_is_not_left_alone() {
    // One loop in a second, at one place, and at many: 160 ms in ten seconds.
    for (places, nth, per_second) in [(1, 200, 200), (7, 200, 200), (1, 2000, 2000), (1, 20, 20)] {
        let (most, made) = bear(places, nth, per_second);
        assert!((made - 1.0).abs() < f64::EPSILON, "{made} of its calls were made");
        assert!(most <= 11 * LOOP, "{most:?}");
    }
    // Eight in a second, which is twice what there is room for: it serves for part of the time.
    let (_, made) = bear(1, 25, 200);
    assert!((0.1..0.6).contains(&made), "{made} of its calls were made");
}

#[test]
fn a_place_that_wastes_is_left_alone_before_the_plugin_is() {
    let mut scene = Scene::new();
    let mut wasted = 0;
    while scene.waste(FILTER, 0, LOOP) {
        assert!(scene.call(FILTER, 1, true));
        // Answers in between start no count again.
        scene.call(FILTER, 0, true);
        wasted += 1;
    }
    assert_eq!(wasted, 19, "300 ms of loops");
    assert_eq!(scene.breakers.open().collect::<Vec<_>>(), [Scope::WasteAt(FILTER, 0)]);
    assert!(scene.may_call(FILTER, 1) && scene.may_call(Hook::Authorizer, 0));
    // Another one that begins now has the rest.
    let rest = (0..100).filter(|_| scene.call(FILTER, 1, true) && scene.waste(FILTER, 1, LOOP)).count();
    assert_eq!(rest, 6, "100 ms of loops");
    assert!(!scene.may_call(Hook::Authorizer, 7), "the plugin as a whole");
    // Until as much of it is forgotten as there must be room for, and no longer.
    let until = scene.breakers.open_until(Hook::Authorizer, 7).unwrap();
    assert!((wasted::WINDOW..=wasted::WINDOW + SECOND).contains(&(until - scene.now)), "{:?}", until - scene.now);
    scene.now = until;
    assert!(scene.call(FILTER, 0, true) && scene.call(FILTER, 1, true) && scene.breakers.is_clear());
}

#[test]
fn an_answer_of_a_call_that_began_before_closes_no_breaker_of_waste() {
    let mut scene = Scene::new();
    let opened = scene.breakers.wasted(FILTER, 0, FAILED_CPU, scene.now);
    let pause = wasted::WINDOW + SECOND;
    assert_eq!(opened, [Scope::WasteAt(FILTER, 0), Scope::Waste].map(|scope| Opened { scope, pause, again: false }));
    assert_eq!(scene.breakers.answered(FILTER, 0, scene.now), []);
    // Those that fail make the pause longer, and are no news.
    scene.now += SECOND;
    assert_eq!(scene.breakers.wasted(FILTER, 0, FAILED_CPU, scene.now), []);
    assert_eq!(scene.breakers.open_until(FILTER, 0), Some(scene.now + pause));
    scene.now += pause;
    assert_eq!(scene.breakers.answered(FILTER, 0, scene.now).len(), 2);
    assert!(scene.breakers.is_clear());
}

#[test]
fn cheap_failures_are_not_what_wastes_a_worker() {
    let mut scene = Scene::new();
    // 500 traps a second that cost 50 us each: a quarter of a second in ten.
    for _ in 0..10_000 {
        assert!(scene.call(FILTER, 0, true) && scene.waste(FILTER, 0, Duration::from_micros(50)));
        scene.now += Duration::from_millis(2);
    }
    assert_eq!(scene.open(), 0);
}

proptest! {
    /// However failures of whatever cost come, at whichever places and with answers between them: no ten seconds have more than the
    /// limit and one call.
    #[test]
    fn no_more_is_wasted_than_there_may_be(calls in proptest::collection::vec((0..4_u32, any::<bool>(), 0..40_000_u64, 0..1_500_u64), 1..400)) {
        let mut scene = Scene::new();
        let mut made: Vec<(Instant, Duration)> = Vec::new();
        for (config, answers, micros, milliseconds) in calls {
            let spent = Duration::from_micros(micros);
            if answers {
                scene.call(FILTER, config, true);
            } else if scene.waste(FILTER, config, spent) {
                made.push((scene.now, spent));
                let within = made.iter().filter(|(then, _)| *then + wasted::WINDOW > scene.now).map(|(_, spent)| *spent).sum::<Duration>();
                prop_assert!(within < FAILED_CPU + spent, "{within:?}");
            }
            scene.now += Duration::from_millis(milliseconds);
        }
    }

    /// Where at most three calls in a row fail nothing opens, whenever they come.
    #[test]
    fn a_place_that_answers_now_and_then_is_not_left_alone(calls in proptest::collection::vec((0..3_u32, any::<bool>(), 0..700_u64), 1..400)) {
        let mut scene = Scene::new();
        let mut in_a_row = [0; 3];
        for (config, answers, milliseconds) in calls {
            let faults = &mut in_a_row[config as usize];
            let answers = answers || *faults == 3;
            *faults = if answers { 0 } else { *faults + 1 };
            prop_assert!(scene.call(FILTER, config, answers));
            scene.now += Duration::from_millis(milliseconds);
        }
        prop_assert_eq!(scene.open(), 0);
    }

    /// One bad place takes nothing from the others.
    #[test]
    fn a_bad_place_does_not_close_the_good_ones(calls in proptest::collection::vec((0..5_u32, 0..3_000_u64), 1..400)) {
        let mut scene = Scene::new();
        for (config, milliseconds) in calls {
            let called = scene.call(FILTER, config, config != 0);
            prop_assert!(called || config == 0);
            scene.now += Duration::from_millis(milliseconds);
        }
    }

    /// What always fails is called ever less often, and is tried at least once in a minute: whatever is asked for, and when.
    #[test]
    fn what_always_fails_is_left_alone_and_still_tried(calls in proptest::collection::vec((0..4_u32, 0..2_000_u64), 1..600)) {
        let mut scene = Scene::new();
        let (began, mut made) = (scene.now, 0);
        for (config, milliseconds) in calls {
            made += scene.fail(FILTER, config, 1);
            let until = scene.breakers.open_until(FILTER, config).unwrap_or(scene.now);
            prop_assert!(until <= scene.now + LONGEST_PAUSE);
            scene.now += Duration::from_millis(milliseconds);
        }
        // Ten until the hook is left alone, and one for each pause of the hook and its four places: 1, 2, 4, 8, 16, 32 s and
        // minutes.
        let seconds = (scene.now - began).as_secs();
        let tries = (1..=6).filter(|doublings| seconds >= (1 << doublings) - 1).count() as u64 + seconds / 60;
        prop_assert!(made as u64 <= 10 + 5 * (tries + 1), "{} calls in {} s", made, seconds);
    }

    /// Answers leave nothing behind.
    #[test]
    fn nothing_is_kept_of_what_answers(calls in proptest::collection::vec((0..4_u32, any::<bool>(), 0..2_000_u64), 1..200)) {
        let mut scene = Scene::new();
        for (config, answers, milliseconds) in calls {
            scene.call(FILTER, config, answers);
            scene.now += Duration::from_millis(milliseconds);
        }
        scene.now += LONGEST_PAUSE;
        prop_assert!(scene.breakers.wasted.is_empty());
        for config in 0..4 {
            prop_assert!(scene.call(FILTER, config, true));
        }
        prop_assert!(scene.breakers.is_clear());
    }
}

#[test]
fn calls_that_began_before_it_opened_do_not_make_the_pause_longer() {
    let (mut breakers, now) = (Breakers::new(FAILED_CPU), Instant::now());
    let opened: Vec<_> = (0..64).flat_map(|_| breakers.fault(Hook::Authorizer, 1, now)).collect();
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert_eq!(opened[0].pause, FIRST_PAUSE);
    // The first of those that try it after the pause decides, and the others tried at the same time.
    let later = now + FIRST_PAUSE;
    let opened: Vec<_> = (0..8).flat_map(|_| breakers.fault(Hook::Authorizer, 1, later)).collect();
    assert_eq!(opened.iter().map(|opened| (opened.pause, opened.again)).collect::<Vec<_>>(), [(FIRST_PAUSE * 2, true)]);
}
