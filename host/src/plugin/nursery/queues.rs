//! Orders that wait, in a queue for each who gives them. Queues have turns, one order at a time.

use std::collections::VecDeque;

/// Orders `T` of whoever is known by `K`.
#[derive(Debug)]
pub(super) struct Queues<K, T> {
    /// The one that has the next turn is first; none is empty. There are few: one for each plugin that is dear to set up.
    queues: VecDeque<(K, VecDeque<T>)>,
}

impl<K, T> Default for Queues<K, T> {
    fn default() -> Self {
        Self { queues: VecDeque::new() }
    }
}

impl<K: PartialEq, T> Queues<K, T> {
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// One more order, behind the others of the same queue.
    pub(super) fn push(&mut self, of: K, order: T) {
        match self.queues.iter_mut().find(|(whose, _)| *whose == of) {
            Some((_, queue)) => queue.push_back(order),
            None => self.queues.push_back((of, VecDeque::from([order]))),
        }
    }

    /// The next order that is still wanted. Those before it that are not are gone, and take nobody's turn.
    pub(super) fn take_next(&mut self, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        while let Some((of, mut queue)) = self.queues.pop_front() {
            while let Some(order) = queue.pop_front() {
                if is_wanted(&order) {
                    if !queue.is_empty() {
                        self.queues.push_back((of, queue));
                    }
                    return Some(order);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Queues;

    fn queues(orders: &str) -> Queues<char, (char, usize)> {
        let mut queues = Queues::default();
        orders.chars().enumerate().for_each(|(number, of)| queues.push(of, (of, number)));
        queues
    }

    #[test]
    fn queues_have_turns_and_each_is_first_come_first_served() {
        let mut queues = queues("aaaabac");
        let taken: Vec<_> = std::iter::from_fn(|| queues.take_next(|_| true)).collect();
        assert_eq!(taken, [('a', 0), ('b', 4), ('c', 6), ('a', 1), ('a', 2), ('a', 3), ('a', 5)]);
        assert!(queues.is_empty());
    }

    #[test]
    fn who_orders_again_stands_behind_all_who_wait() {
        let mut queues = queues("aab");
        assert_eq!(queues.take_next(|_| true), Some(('a', 0)));
        queues.push('c', ('c', 3));
        queues.push('b', ('b', 4));
        let taken: String = std::iter::from_fn(|| queues.take_next(|_| true)).map(|(of, _)| of).collect();
        assert_eq!(taken, "bacb");
    }

    #[test]
    fn what_is_not_wanted_any_more_takes_no_turn() {
        let mut queues = queues("aaabbc");
        let wanted = |(_, number): &(char, usize)| ![0, 1, 3, 4].contains(number);
        assert_eq!(queues.take_next(wanted), Some(('a', 2)));
        assert_eq!(queues.take_next(wanted), Some(('c', 5)));
        assert_eq!(queues.take_next(wanted), None);
        assert!(queues.is_empty());
    }
}
