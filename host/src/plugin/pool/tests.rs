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
