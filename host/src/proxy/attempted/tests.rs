use std::rc::Rc;

use super::Bell;

#[test]
fn a_bell_wakes_who_waits_and_is_not_forgotten_if_nobody_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let bell = Rc::new(Bell::default());
        // Nobody waits yet, and twice is as good as once.
        bell.ring();
        bell.ring();
        bell.rung().await;

        let waiting = tokio::task::spawn_local({
            let bell = Rc::clone(&bell);
            async move { bell.rung().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "it had rung for the last time");
        bell.ring();
        waiting.await.unwrap();
    });
}
