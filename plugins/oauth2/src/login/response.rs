//! What a browser brings back from the server: the authorization response (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207). Whoever makes somebody
//! follow a link chooses all of it, so nothing is done with it before its `state` is known to be the one of this browser's login.

/// Longest code that is passed on, bytes. No RFC says; those of servers have some hundred.
const LONGEST_CODE: usize = 4_096;
/// Most of an error that is shown in the log.
const LONGEST_ERROR: usize = 64;

/// Its parameters, as they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) state: String,
    pub(super) issuer: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

/// How the login went, as the response says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This may be worth tokens.
    Code(String),
    /// There will be none; the server's word for it, fit for a log.
    Error(String),
}

/// Not a response of RFC 6749.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Response {
    /// Reads a query. A parameter that is there twice is two answers in one (RFC 6749, section 3.1).
    pub(super) fn read(query: &str) -> Result<Self, Malformed> {
        let mut response = Self::default();
        let mut state = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut state,
                "iss" => &mut response.issuer,
                "code" => &mut response.code,
                "error" => &mut response.error,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(Malformed);
            }
        }
        response.state = state.unwrap_or_default();
        Ok(response)
    }

    /// A code, or an error: not both, and not neither. A code is printable ASCII (RFC 6749, appendix A.11); nothing else goes to the server.
    pub(super) fn outcome(self) -> Result<Outcome, Malformed> {
        match (self.code, self.error) {
            (Some(code), None) if (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
                Ok(Outcome::Code(code))
            }
            (None, Some(error)) => Ok(Outcome::Error(shown(&error))),
            _ => Err(Malformed),
        }
    }
}

/// The characters an error has (RFC 6749, appendix A.7), and not many.
fn shown(error: &str) -> String {
    let legal = |char: char| matches!(char, ' '..='~') && char != '"' && char != '\\';
    error.chars().take(LONGEST_ERROR).map(|char| if legal(char) { char } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_server_sends_and_leaves_what_it_does_not_know() {
        let read = Response::read("code=a%2Bb+c&state=s&iss=https%3A%2F%2Fid.example.com&session_state=x&scope=a&scope=b").unwrap();
        assert_eq!((read.state.as_str(), read.issuer.as_deref()), ("s", Some("https://id.example.com")));
        assert_eq!(read.outcome(), Ok(Outcome::Code("a+b c".to_owned())));
        assert_eq!(Response::read("").unwrap(), Response::default());
        assert_eq!(Response::read("state").unwrap().state, "");
    }

    #[test]
    fn takes_nothing_that_is_there_twice_however_it_is_written() {
        for query in ["state=a&state=a", "state=a&st%61te=b", "state&state=a", "code=a&code=b", "error=a&error=b", "iss=a&i%73s=a"] {
            assert_eq!(Response::read(query), Err(Malformed), "{query}");
        }
    }

    #[test]
    fn takes_a_code_or_an_error_and_no_code_that_is_none() {
        let outcome = |query: &str| Response::read(query).unwrap().outcome();
        let longest = "c".repeat(LONGEST_CODE);
        assert_eq!(outcome(&format!("code={longest}")), Ok(Outcome::Code(longest.clone())));
        for query in
            ["", "code", "code=", "code=a&error=b", "code=&error=b", "code=a%00", "code=a%0d%0ab", "code=%7f", "code=%c3%bc", "code=%ff"]
        {
            assert_eq!(outcome(query), Err(Malformed), "{query}");
        }
        assert_eq!(outcome(&format!("code={longest}c")), Err(Malformed));
    }

    #[test]
    fn an_error_cannot_write_lines_of_its_own() {
        let outcome = |query: &str| Response::read(query).unwrap().outcome();
        assert_eq!(outcome("error=access_denied"), Ok(Outcome::Error("access_denied".to_owned())));
        assert_eq!(outcome("error=a%0AWARN%20%22x%22%5C%1b%c3%bc"), Ok(Outcome::Error("a?WARN ?x????".to_owned())));
        assert_eq!(outcome(&format!("error={}", "e".repeat(10_000))), Ok(Outcome::Error("e".repeat(LONGEST_ERROR))));
    }
}
