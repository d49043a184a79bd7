use super::*;

#[test]
fn the_queue_has_an_end_and_who_leaves_makes_room() {
    let mut pool = Pool::default();
    let mut waiting: Vec<_> = (0..QUEUE).map(|_| pool.enqueue((Hook::Authorizer, 0), true, 0).unwrap()).collect();
    assert!(pool.enqueue((Hook::Authorizer, 0), true, 0).is_none());
    waiting.truncate(QUEUE - 2);
    waiting.extend((0..2).map(|_| pool.enqueue((Hook::Authorizer, 0), true, 0).unwrap()));
    assert!(pool.enqueue((Hook::Authorizer, 0), true, 0).is_none());
}

#[test]
fn no_more_are_ordered_than_there_is_use_for() {
    let mut pool = Pool::default();
    for (coming, queued, is_dear, enough) in [
        (0, 0, false, true),
        (0, 1, false, false),
        (1, 1, false, true),
        (1, 2, false, false),
        (2, 1, false, true),
        (0, 0, true, true),
        (0, 1, true, false),
        (1, 100, true, true),
    ] {
        pool.coming = coming;
        assert_eq!(pool.is_awaiting(queued, is_dear), enough, "{coming} {queued} {is_dear}");
    }
    // Those that are made in turns do not stop for one that comes from elsewhere.
    pool.is_making = true;
    assert!(!pool.is_awaiting(2, true));
}
