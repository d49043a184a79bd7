//! The ring both ketama placements share: points with owners, in ascending order.

/// Most points of one ring: 6 bytes each, so 10 MB per instance.
const MAX_POINTS: u64 = 1_600_000;

/// Points and who owns them, in two vectors so that a search touches only the points.
#[derive(Debug)]
pub(super) struct Ring {
    points: Vec<u32>,
    owners: Vec<u16>,
}

impl Ring {
    /// Sorts points. Of equal ones the first stays, as nginx does it; libketama keeps both and finds the first.
    pub(super) fn new(mut points: Vec<(u32, u16)>) -> Self {
        // Stable, so that the order of members decides between equal points, as in the programs we agree with.
        points.sort_by_key(|(point, _)| *point);
        points.dedup_by_key(|(point, _)| *point);
        let (points, owners) = points.into_iter().unzip();
        Self { points, owners }
    }

    /// The owners of the points, in the points' order.
    pub(super) fn owners(&self) -> &[u16] {
        &self.owners
    }

    /// The points alone, ascending.
    pub(super) fn into_points(self) -> Vec<u32> {
        self.points
    }

    /// The position of the first point at or after the low 32 bits of a hash; past the last one, the first of all.
    pub(super) fn start(&self, hash: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "both ketama placements use the low 32 bits of the hash")]
        let place = hash as u32;
        let at = self.points.partition_point(|point| *point < place);
        if at == self.points.len() { 0 } else { at }
    }
}

/// Refuses rings that would not fit.
pub(super) fn check(points: u64) -> Result<(), String> {
    if points > MAX_POINTS {
        return Err(format!(
            "a ring of {points} points is too large (at most {MAX_POINTS}): use smaller weights in the same proportion, or another placement"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_the_first_point_at_or_after_it() {
        let ring = Ring::new(vec![(30, 3), (10, 1), (20, 2)]);
        let owner = |hash: u64| ring.owners()[ring.start(hash)];
        assert_eq!([0, 10, 11, 20, 21, 30].map(owner), [1, 1, 2, 2, 3, 3]);
        assert_eq!(owner(31), 1, "past the last point comes the first");
        assert_eq!(owner(0xffff_ffff_0000_000b), 2, "only the low 32 bits count");
    }

    #[test]
    fn of_equal_points_the_first_owner_stays() {
        let ring = Ring::new(vec![(10, 5), (10, 2), (7, 1)]);
        assert_eq!(ring.owners(), [1, 5]);
    }
}
