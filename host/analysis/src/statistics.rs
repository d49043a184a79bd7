//! Robust centre and spread, a test of two shares, and thresholds for many tests at once.

/// Turns the median absolute deviation of a normal distribution into its standard deviation.
const MAD_TO_SIGMA: f64 = 1.4826;

/// Where values lie, unmoved by a few that lie elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Robust {
    /// The median.
    pub(crate) centre: f64,
    /// As a standard deviation, from the median absolute deviation.
    pub(crate) spread: f64,
}

impl Robust {
    /// Of those values; `None` of none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        let centre = median(&mut values)?;
        values.iter_mut().for_each(|value| *value = (*value - centre).abs());
        Some(Self { centre, spread: MAD_TO_SIGMA * median(&mut values)? })
    }
}

/// The middle value; the order of `values` is lost.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    let even = values.len().is_multiple_of(2);
    let (_, low, above) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let next = above.iter().copied().fold(f64::INFINITY, f64::min);
    Some(if even { (*low + next) / 2.0 } else { *low })
}

/// Bad ones among all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) bad: u64,
    pub(crate) all: u64,
}

impl Share {
    pub(crate) fn value(self) -> f64 {
        if self.all == 0 { 0.0 } else { self.bad as f64 / self.all as f64 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { bad: self.bad + other.bad, all: self.all + other.all }
    }
}

/// A share of which each part counts as much as it is given weight: it says what a share of so many would say.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Weighed {
    pub(crate) bad: f64,
    pub(crate) all: f64,
}

impl From<Share> for Weighed {
    fn from(share: Share) -> Self {
        Self { bad: share.bad as f64, all: share.all as f64 }
    }
}

impl Weighed {
    pub(crate) fn value(self) -> f64 {
        if self.all <= 0.0 { 0.0 } else { (self.bad / self.all).min(1.0) }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { bad: self.bad + other.bad, all: self.all + other.all }
    }
}

/// How far the first share is above the second, in standard deviations: the signed root of the likelihood ratio of two binomials,
/// which holds for small counts too, where the normal approximation of a share does not. `dispersion` is how much wider shares
/// scatter than a binomial (1: not at all).
pub(crate) fn above(now: impl Into<Weighed>, before: impl Into<Weighed>, dispersion: f64) -> f64 {
    let (now, before) = (now.into(), before.into());
    let pooled = now.plus(before).value();
    let deviance = deviance(now, pooled) + deviance(before, pooled);
    let sign = if now.value() >= before.value() { 1.0 } else { -1.0 };
    sign * (2.0 * deviance.max(0.0) / dispersion.max(1.0)).sqrt()
}

/// Log likelihood of a share at its own value less that at `expected`.
fn deviance(share: Weighed, expected: f64) -> f64 {
    let term = |count: f64, own: f64, expected: f64| if count <= 0.0 { 0.0 } else { count * (own / expected).ln() };
    let own = share.value();
    term(share.bad, own, expected) + term(share.all - share.bad, 1.0 - own, 1.0 - expected)
}

/// How much wider shares scatter than a binomial does: Pearson's chi-square by degrees of freedom, never below 1. A burst of errors in
/// a quiet hour makes it large, and a test with it cautious.
pub(crate) fn dispersion(shares: &[Share]) -> f64 {
    let pooled = shares.iter().fold(Share::default(), |sum, share| sum.plus(*share)).value();
    let variance = pooled * (1.0 - pooled);
    if shares.len() < 2 || variance <= 0.0 {
        return 1.0;
    }
    let chi = |share: &Share| {
        let expected = share.all as f64 * pooled;
        if share.all == 0 { 0.0 } else { (share.bad as f64 - expected).powi(2) / (share.all as f64 * variance) }
    };
    (shares.iter().map(chi).sum::<f64>() / (shares.len() - 1) as f64).max(1.0)
}

/// The standard normal quantile with `tail` above it (Abramowitz and Stegun, 26.2.23), for tails of at most a half.
pub(crate) fn upper_quantile(tail: f64) -> f64 {
    let t = (-2.0 * tail.clamp(1e-300, 0.5).ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    t - above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_far_value_moves_neither_centre_nor_spread() {
        let quiet = Robust::of([1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let far = Robust::of([1.0, 2.0, 3.0, 4.0, 500.0]).unwrap();
        assert_eq!((quiet.centre, quiet.spread), (3.0, MAD_TO_SIGMA));
        assert_eq!(far, quiet);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(Robust::of([]), None);
    }

    #[test]
    fn a_share_is_above_another_by_so_many_deviations() {
        let share = |bad, all| Share { bad, all };
        // Large counts: as the normal approximation has it, (0.06 - 0.05) / sqrt(0.055 * 0.945 * 2 / 10000) = 3.10.
        assert!((above(share(600, 10_000), share(500, 10_000), 1.0) - 3.10).abs() < 0.02);
        assert!((above(share(600, 10_000), share(500, 10_000), 4.0) - 1.55).abs() < 0.02);
        assert!(above(share(500, 10_000), share(600, 10_000), 1.0) < -3.0);
        // Two errors of 100 after none of 100 are nothing much: 2 ln 2 * 2, about.
        assert!((above(share(2, 100), share(0, 100), 1.0) - 1.67).abs() < 0.05);
        assert_eq!(above(share(0, 0), share(0, 100), 1.0), 0.0);
        assert_eq!(above(share(100, 100), share(100, 100), 1.0), 0.0);
    }

    #[test]
    fn bursts_show_as_dispersion() {
        let even: Vec<Share> = (0..12).map(|number| Share { bad: 9 + number % 3, all: 1_000 }).collect();
        let bursts: Vec<Share> = (0..12).map(|number| Share { bad: if number == 5 { 120 } else { 0 }, all: 1_000 }).collect();
        assert_eq!(dispersion(&even), 1.0);
        assert!(dispersion(&bursts) > 50.0);
        assert_eq!(dispersion(&[]), 1.0);
    }

    #[test]
    fn quantiles_of_the_normal_distribution() {
        for (tail, quantile) in [(0.5, 0.0), (0.025, 1.959_96), (1e-3, 3.090_23), (1e-9, 5.997_81)] {
            assert!((upper_quantile(tail) - quantile).abs() < 1e-3, "{tail}");
        }
    }
}
