//! Header names a guest has used before. A plugin writes the same few names for every request; parsing and copying them each
//! time would cost more than finding them.

use http::HeaderName;

/// Names kept; a guest that uses more pays for parsing the others.
const MOST: usize = 16;

/// The names of one guest, as it wrote them.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(Box<str>, HeaderName)>);

impl Names {
    /// The name of that text, if it is one.
    pub(super) fn get(&mut self, text: &str) -> Option<HeaderName> {
        if let Some((_, name)) = self.0.iter().find(|(known, _)| **known == *text) {
            return Some(name.clone());
        }
        let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
        if self.0.len() < MOST {
            self.0.push((text.into(), name.clone()));
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
            for number in 0..2 * MOST {
                assert_eq!(names.get(&format!("X-{number}")).unwrap(), format!("x-{number}").as_str());
            }
        }
        assert_eq!(names.0.len(), MOST);
        assert_eq!(names.get("not a name"), None);
    }
}
