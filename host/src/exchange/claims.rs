//! Request headers that hooks have the say about: what they set or removed, a client must not say again behind its body.

use http::HeaderName;

/// Names until none of the trailers of a request goes on.
const MOST: usize = 256;

/// Their names.
#[derive(Debug, Default)]
pub struct Claims(Option<Vec<HeaderName>>);

impl Claims {
    /// None yet, of a request whose trailers go on where they may; by default none of them does, and no name is kept.
    pub fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    /// Of a request that no hook has seen: all of these.
    pub fn begin_with(&mut self, names: &[HeaderName]) {
        match &mut self.0 {
            Some(kept) if kept.is_empty() && names.len() <= MOST => kept.extend_from_slice(names),
            _ => self.0 = None,
        }
    }

    /// This one too.
    pub fn add(&mut self, name: &HeaderName) {
        match &mut self.0 {
            Some(names) if names.contains(name) => {}
            Some(names) if names.len() < MOST => names.push(name.clone()),
            // A hook that goes through thousands must not have memory for all of them.
            _ => self.0 = None,
        }
    }

    /// Whether a trailer of that name may not go on.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> HeaderName {
        HeaderName::try_from(format!("x-{number}")).unwrap()
    }

    #[test]
    fn names_are_kept_up_to_a_number_and_past_it_everything_is_claimed() {
        assert!(Claims::default().has(&name(0)), "no trailers were to be expected");
        let mut claims = Claims::kept();
        for number in (0..MOST).chain(0..MOST) {
            claims.add(&name(number));
        }
        assert!(claims.has(&name(0)) && claims.has(&name(MOST - 1)) && !claims.has(&name(MOST)));
        claims.add(&name(MOST));
        assert!(claims.has(&name(MOST)) && claims.has(&name(9_999)));
        claims.add(&name(0));
        assert!(claims.has(&name(9_999)), "it stays so");
        let names: Vec<_> = (0..=MOST).map(name).collect();
        for (many, all) in [(0, false), (MOST, false), (MOST + 1, true)] {
            let mut claims = Claims::kept();
            claims.begin_with(&names[..many]);
            assert_eq!((claims.has(&name(0)), claims.has(&name(9_999))), (many > 0, all), "{many}");
        }
    }
}
