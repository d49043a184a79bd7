//! Why a request was refused, for the operator: a line of the gateway's log, and a note in the span of the hook where the request is recorded.
//! Nothing of it is for the client.

use plugway_sdk::{log, trace};

use crate::OAuth2;
use crate::denial::Denial;
use crate::json::{self, Json};
use crate::token::Token;

/// What of a token helps to see what is wrong with it. None of it lets anybody in.
const TELLING: [&str; 8] = ["iss", "aud", "exp", "nbf", "iat", "scope", "scp", "cnf"];
/// Most characters of one value.
const LONGEST: usize = 80;

/// Logs it. Who sent nothing is not worth a line: every browser begins like that.
pub(crate) fn log(denial: Denial, token: Option<&[u8]>, place: &OAuth2) {
    if denial == Denial::NoCredentials {
        return;
    }
    let why = denial.why();
    log::info!("refused, why={why}{}; {}", said(token), wanted(place));
    trace::set_attribute("oauth2.refused", why);
}

/// What the token says of itself, which may be a lie. Its signature is not among it.
fn said(token: Option<&[u8]>) -> String {
    let token = token.and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|text| Token::parse(text).ok());
    let token = token.filter(Token::is_well_formed);
    let Some(token) = token else { return String::new() };
    let header = &token.header;
    let mut said = format!("; the token says alg={}", shown(&header.algorithm));
    for (name, text) in [("kid", &header.key_id), ("typ", &header.kind)] {
        if let Some(text) = text {
            said.push_str(&format!(" {name}={}", shown(text)));
        }
    }
    let payload = token.payload().unwrap_or_default();
    let claims = json::members(&payload).unwrap_or_default();
    for name in TELLING {
        if let Some(value) = claims.get(name) {
            let text = match value {
                Json::Text(text) => shown(text),
                other => shown(&other.to_string()),
            };
            said.push_str(&format!(" {name}={text}"));
        }
    }
    said
}

fn wanted(place: &OAuth2) -> String {
    let issuers: Vec<&str> = place.issuers.names().collect();
    let audiences: Vec<&str> = place.issuers.audiences().collect();
    let mut wanted = format!("wanted here: iss={} aud={} scope={}", issuers.join("|"), audiences.join("|"), place.rules.scopes.join(" "));
    for required in &place.rules.required {
        wanted.push_str(&format!(" require={{{}}}", shown(&required.to_string())));
    }
    wanted
}

/// Anybody may have written it: nothing that breaks a line, and not much.
fn shown(text: &str) -> String {
    let clean: String = text.chars().take(LONGEST).map(|char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' }).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{clean}...") } else { clean }
}
