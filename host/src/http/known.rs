//! Well-known header names by number, so that a name crosses the plugin border without a copy. The numbers are line
//! numbers of `wit/known-headers.txt`, counted from 0.

use std::sync::LazyLock;

use http::HeaderName;

static NAMES: LazyLock<Vec<HeaderName>> = LazyLock::new(|| {
    include_str!("../../../wit/known-headers.txt")
        .lines()
        // Static names clone without counting; a line that is no header name would fail the test below.
        .map(HeaderName::from_static)
        .collect()
});

/// The name with that number.
pub fn name(number: u16) -> Option<&'static HeaderName> {
    NAMES.get(usize::from(number))
}

/// The number of that name.
pub fn number(name: &HeaderName) -> Option<u16> {
    NAMES.iter().position(|known| known == name).and_then(|number| u16::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_the_lines_of_the_contract() {
        let lines: Vec<_> = include_str!("../../../wit/known-headers.txt").lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let name = super::name(number as u16).unwrap();
            assert_eq!(name.as_str(), *line);
            assert_eq!(super::number(name), Some(number as u16));
        }
        assert!(super::name(lines.len() as u16).is_none());
    }
}
