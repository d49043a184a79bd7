use super::Places;

#[test]
fn finds_places_whatever_the_order_they_came_in() {
    let places = Places::new();
    for id in [7, 3, 900, 4] {
        places.insert(id, id * 10);
    }
    places.insert(3, 31);
    places.remove(4);
    assert_eq!(places.with(3, |value| *value), Some(31));
    assert_eq!(places.with(900, |value| *value), Some(9000));
    assert_eq!(places.with(4, |value| *value), None);
    places.with_mut(7, |value| *value += 1);
    assert_eq!(places.with(7, |value| *value), Some(71));
}
