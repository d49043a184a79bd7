//! From an order of preference to the one member that gets the request.

/// What is asked about a member; each answer may be a call into the gateway, so it is asked only of the one looked at.
pub trait Candidates {
    /// Whether requests may be sent there now.
    fn available(&self, member: usize) -> bool;
    /// Whether this request was there before.
    fn tried(&self, member: usize) -> bool;
    /// Requests being answered there.
    fn in_flight(&self, member: usize) -> u32;
    /// Requests being answered by all members.
    fn all_in_flight(&self) -> u32;
}

/// The first of an order that is available and was not tried; if all available ones were tried, the first of those. Where nobody is available, more
/// likely a network is gone than all of them at once: then it is as if all were, as for the gateway's own round robin. The order is read once.
pub fn first(order: impl Iterator<Item = usize>, candidates: &impl Candidates) -> Option<usize> {
    let (mut again, mut untried, mut any) = (None, None, None);
    for member in order {
        any = any.or(Some(member));
        match candidates.tried(member) {
            false if candidates.available(member) => return Some(member),
            false => untried = untried.or(Some(member)),
            true if again.is_none() && candidates.available(member) => again = Some(member),
            true => {}
        }
    }
    again.or(untried).or(any)
}

/// As [`first`], but passes over members above their bound (Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded
/// Loads, SODA 2018): with this request included, a member may have at most `ceil(factor * requests * share)`. `order` is called again where a
/// second look is needed.
///
/// Shares are of all members first, which needs no more questions. Only if nobody is below that bound, which takes members
/// that are away, are shares of the available ones alone counted: one of these is always below. Where nobody is available, all count.
pub fn bounded<O: Iterator<Item = usize>>(
    order: impl Fn() -> O,
    candidates: &impl Candidates,
    factor: f64,
    weights: &[u16],
) -> Option<usize> {
    let usable = |member: &usize| !candidates.tried(*member) && candidates.available(*member);
    let weight = |member: usize| f64::from(weights.get(member).copied().unwrap_or(1));
    let requests = f64::from(candidates.all_in_flight()) + 1.0;
    let fits =
        |member: usize, total: f64| f64::from(candidates.in_flight(member)) + 1.0 <= (factor * requests * weight(member) / total).ceil();

    let everyone: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    if let Some(member) = order().find(|member| usable(member) && fits(*member, everyone)) {
        return Some(member);
    }
    let all: Vec<usize> = order().collect();
    let mut left: Vec<usize> = all.iter().copied().filter(usable).collect();
    if left.is_empty() && !all.iter().any(|member| candidates.available(*member)) {
        left = all.iter().copied().filter(|member| !candidates.tried(*member)).collect();
    }
    let total: f64 = left.iter().map(|member| weight(*member)).sum();
    let below = left.iter().find(|member| fits(**member, total)).or(left.first());
    below.copied().or_else(|| first(all.into_iter(), candidates))
}

#[cfg(test)]
mod tests;
