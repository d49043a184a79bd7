//! How many points a weight gives. Where they are is checked against libketama in `tests/ketama.rs`.

use super::*;

#[test]
fn points_follow_libketama_s_formula() {
    // floor(share * 40 * members), by hand: 4300 units of weight, 8 members.
    let servers = [600, 300, 200, 350, 1000, 800, 950, 100];
    let ours = servers.map(|weight| digests(weight, 4300, servers.len()));
    assert_eq!(ours, [44, 22, 14, 26, 74, 59, 70, 7]);
    assert_eq!(digests(1, 1, 1), 40);
}

#[test]
fn a_very_small_weight_has_no_points() {
    assert_eq!(digests(1, 1001, 2), 0);
}
