//! Orders that wait, in a line for each who gives them. Lines have turns, one order at a time.

use std::collections::VecDeque;

/// Orders `T` of whoever is known by `K`.
#[derive(Debug)]
pub(super) struct Lines<K, T> {
    /// The one that has the next turn is first; none is empty. There are few: one for each plugin that is dear to set up.
    lines: VecDeque<(K, VecDeque<T>)>,
}

impl<K, T> Default for Lines<K, T> {
    fn default() -> Self {
        Self { lines: VecDeque::new() }
    }
}

impl<K: PartialEq, T> Lines<K, T> {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// One more order, behind the others of the same line.
    pub(super) fn push(&mut self, of: K, order: T) {
        match self.lines.iter_mut().find(|(whose, _)| *whose == of) {
            Some((_, line)) => line.push_back(order),
            None => self.lines.push_back((of, VecDeque::from([order]))),
        }
    }

    /// The next order that is still wanted. Those before it that are not are gone, and take nobody's turn.
    pub(super) fn take_next(&mut self, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        while let Some((of, mut line)) = self.lines.pop_front() {
            while let Some(order) = line.pop_front() {
                if is_wanted(&order) {
                    if !line.is_empty() {
                        self.lines.push_back((of, line));
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
    use super::Lines;

    fn lines(orders: &str) -> Lines<char, (char, usize)> {
        let mut lines = Lines::default();
        orders.chars().enumerate().for_each(|(number, of)| lines.push(of, (of, number)));
        lines
    }

    #[test]
    fn lines_have_turns_and_each_is_first_come_first_served() {
        let mut lines = lines("aaaabac");
        let taken: Vec<_> = std::iter::from_fn(|| lines.take_next(|_| true)).collect();
        assert_eq!(taken, [('a', 0), ('b', 4), ('c', 6), ('a', 1), ('a', 2), ('a', 3), ('a', 5)]);
        assert!(lines.is_empty());
    }

    #[test]
    fn who_orders_again_stands_behind_all_who_wait() {
        let mut lines = lines("aab");
        assert_eq!(lines.take_next(|_| true), Some(('a', 0)));
        lines.push('c', ('c', 3));
        lines.push('b', ('b', 4));
        let taken: String = std::iter::from_fn(|| lines.take_next(|_| true)).map(|(of, _)| of).collect();
        assert_eq!(taken, "bacb");
    }

    #[test]
    fn what_is_not_wanted_any_more_takes_no_turn() {
        let mut lines = lines("aaabbc");
        let wanted = |(_, number): &(char, usize)| ![0, 1, 3, 4].contains(number);
        assert_eq!(lines.take_next(wanted), Some(('a', 2)));
        assert_eq!(lines.take_next(wanted), Some(('c', 5)));
        assert_eq!(lines.take_next(wanted), None);
        assert!(lines.is_empty());
    }
}
