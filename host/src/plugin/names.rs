//! Header names as one guest uses them: numbers it may use in place of text, and texts it has written before. A plugin uses
//! the same few names for every request; parsing and copying them each time would cost more than finding them.

use http::HeaderName;

use crate::http::known;

/// Numbers from here on are the guest's own; those below are lines of `known-headers.txt`.
const FIRST: u16 = 1 << 15;
/// Numbers a guest can have.
const MOST_NUMBERS: usize = 256;
/// Texts kept; a guest that writes more pays for parsing the others.
const MOST_TEXTS: usize = 16;

/// The names of one guest.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By number.
    numbered: Vec<HeaderName>,
    /// As it wrote them.
    written: Vec<(Box<str>, HeaderName)>,
}

/// Why a name got no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    /// It is no name.
    Invalid,
    /// There are [`MOST_NUMBERS`] already.
    TooMany,
}

impl Names {
    /// The name of that number, if it is one.
    pub(super) fn numbered(&self, number: u16) -> Option<&HeaderName> {
        match number.checked_sub(FIRST) {
            Some(own) => self.numbered.get(usize::from(own)),
            None => known::name(number),
        }
    }

    /// The number of that name, a new one if it has none yet.
    pub(super) fn number(&mut self, text: &str) -> Result<u16, NumberError> {
        let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| NumberError::Invalid)?;
        if let Some(number) = known::number(&name) {
            return Ok(number);
        }
        let at = match self.numbered.iter().position(|known| *known == name) {
            Some(at) => at,
            None if self.numbered.len() < MOST_NUMBERS => {
                self.numbered.push(name);
                self.numbered.len() - 1
            }
            None => return Err(NumberError::TooMany),
        };
        u16::try_from(at).ok().and_then(|own| FIRST.checked_add(own)).ok_or(NumberError::TooMany)
    }

    /// The name of that text, if it is one.
    pub(super) fn written(&mut self, text: &str) -> Option<HeaderName> {
        if let Some((_, name)) = self.written.iter().find(|(known, _)| **known == *text) {
            return Some(name.clone());
        }
        let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
        if self.written.len() < MOST_TEXTS {
            self.written.push((text.into(), name.clone()));
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_same_name_each_time_and_keeps_only_some() {
        let mut names = Names::default();
        for _ in 0..2 {
            for number in 0..2 * MOST_TEXTS {
                assert_eq!(names.written(&format!("X-{number}")).unwrap(), format!("x-{number}").as_str());
            }
        }
        assert_eq!(names.written.len(), MOST_TEXTS);
        assert_eq!(names.written("not a name"), None);
    }

    #[test]
    fn numbers_are_stable_and_bounded() {
        let mut names = Names::default();
        let first = names.number("X-Plugin").unwrap();
        assert_eq!(first, FIRST);
        assert_eq!(names.number("x-plugin"), Ok(first));
        assert_eq!(names.numbered(first).unwrap(), "x-plugin");
        assert_eq!(names.numbered(first + 1), None);
        assert_eq!(names.number("not a name"), Err(NumberError::Invalid));
        for number in 1..MOST_NUMBERS {
            names.number(&format!("x-{number}")).unwrap();
        }
        assert_eq!(names.number("x-one-more"), Err(NumberError::TooMany));
        assert_eq!(names.number("x-plugin"), Ok(first));
    }

    #[test]
    fn a_well_known_name_keeps_its_number() {
        let mut names = Names::default();
        let number = names.number("Accept").unwrap();
        assert_eq!(number, 0);
        assert_eq!(names.numbered(number).unwrap(), "accept");
    }
}
