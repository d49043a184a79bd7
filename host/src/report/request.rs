//! What is asked for: of whom, since when, in which format. The same on the command line and at the admin listener.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One page with everything in it.
    Html,
    /// Everything, for programs.
    Json,
    /// One table after another, for spreadsheets.
    Csv,
    /// Tables for a ticket or a chat.
    Markdown,
}

impl Format {
    /// As HTTP calls it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Markdown => "text/markdown; charset=utf-8",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "html" => Ok(Self::Html),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "md" => Ok(Self::Markdown),
            other => Err(format!("`{other}` is no format of a report: write html, json, csv or md")),
        }
    }
}

/// Of whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// All there is.
    #[default]
    Gateway,
    /// The routes of one API, all its versions.
    Api(String),
    /// One route.
    Route(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("gateway"),
            Self::Api(name) => write!(f, "API {name:?}"),
            Self::Route(name) => write!(f, "route {name:?}"),
        }
    }
}

/// A report as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Of whom.
    pub scope: Scope,
    /// How far back, seconds.
    pub since: i64,
}

/// How far back without being told.
const SINCE: i64 = 7 * 86_400;
/// The longest: what is kept at most.
const LONGEST: i64 = 366 * 86_400;

impl Default for Request {
    fn default() -> Self {
        Self { scope: Scope::Gateway, since: SINCE }
    }
}

impl Request {
    /// How far back, from text such as `90m`, `24h` or `7d`.
    ///
    /// # Errors
    /// When it is no such time.
    pub fn since(text: &str) -> Result<i64, String> {
        let wrong = || format!("`{text}` is no time to look back: write a number of minutes, hours or days, such as 90m, 24h or 7d");
        let unit = match text.chars().last() {
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        let number: i64 = text.get(..text.len() - 1).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
        match number.checked_mul(unit) {
            Some(since) if (1..=LONGEST).contains(&since) => Ok(since),
            Some(since) if since > LONGEST => Err(format!("`{text}` is longer than a year, which is as long as anything is kept")),
            _ => Err(wrong()),
        }
    }

    /// What a query string asks for (`since=7d&api=orders&format=json`), and in which format; a page without being told.
    ///
    /// # Errors
    /// When it asks for something else.
    pub fn of_query(query: &str) -> Result<(Self, Format), String> {
        let (mut request, mut format) = (Self::default(), Format::Html);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "since" => request.since = Self::since(value)?,
                "api" => request.scope = Scope::Api(decode(value)?),
                "route" => request.scope = Scope::Route(decode(value)?),
                "format" => format = value.parse()?,
                other => return Err(format!("a report has no `{other}`: ask for since, api or route, and format")),
            }
        }
        Ok((request, format))
    }

    /// As a query string.
    pub fn query(&self, format: &str) -> String {
        let scope = match &self.scope {
            Scope::Gateway => String::new(),
            Scope::Api(name) => format!("&api={}", utf8_percent_encode(name, NON_ALPHANUMERIC)),
            Scope::Route(name) => format!("&route={}", utf8_percent_encode(name, NON_ALPHANUMERIC)),
        };
        format!("since={}m{scope}&format={format}", self.since.div_euclid(60).max(1))
    }
}

/// Percent-encoded text (RFC 3986, section 2.1).
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let byte = digit(high).zip(digit(low)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                (byte.ok_or_else(|| format!("{text:?} is not percent-encoded"))?, tail)
            }
            (b'+', tail) => (b' ', tail),
            (byte, tail) => (*byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| format!("{text:?} is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_asks_for_what_the_command_line_does() {
        let request = Request { scope: Scope::Api("shop & more".into()), since: 86_400 };
        let (back, format) = Request::of_query(&request.query("csv")).unwrap();
        assert_eq!((back, format), (request, Format::Csv));
        assert_eq!(Request::of_query("").unwrap(), (Request::default(), Format::Html));
        for wrong in ["since=7", "since=0d", "since=400d", "since=-1d", "format=pdf", "color=red", "api=%zz", "api=%ff"] {
            assert!(Request::of_query(wrong).is_err(), "{wrong}");
        }
    }
}
