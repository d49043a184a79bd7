//! What a browser keeps for the gateway: sealed cookies, unread and unchanged by whoever has them. Long ones are cut in pieces, since browsers
//! take 4 KiB for one (RFC 6265, section 6.1).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::{Request, keys};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of one piece, its name and attributes aside.
const PIECE: usize = 3_800;
/// What is behind the name of each piece. A session has no more of them: what a client sends of headers is bounded too.
const ENDS: [&str; 3] = ["", "-1", "-2"];

/// Tokens of somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    /// From when on the access token is to be renewed, when it ends, as far as was said, and when the session does; seconds since the Unix epoch.
    /// A session without the first is of an older gateway.
    #[serde(default)]
    pub(super) renews: u64,
    pub(super) expires: u64,
    pub(super) ends: u64,
}

/// A cookie by its name.
#[derive(Debug)]
pub(super) struct Cookie {
    name: String,
    key: String,
    /// What is sealed as one thing does not open as another.
    context: String,
    is_secure: bool,
}

impl Cookie {
    /// `of` says whose logins these are. Over https its name has `__Host-` in front: then no other host of the domain can set it.
    pub(super) fn new(name: &str, key: &str, kind: &str, of: &str, is_secure: bool) -> Self {
        let prefix = if is_secure { "__Host-" } else { "" };
        Self { name: format!("{prefix}{name}"), key: key.to_owned(), context: format!("oauth2 {kind} {of}"), is_secure }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it holds, if it is one of ours.
    pub(super) fn read<T: DeserializeOwned>(&self, request: &Request<'_>) -> Option<T> {
        let mut text = request.cookie(&self.name)?;
        for end in ENDS.into_iter().skip(1) {
            match request.cookie(&format!("{}{end}", self.name)) {
                Some(piece) => text.push_str(&piece),
                None => break,
            }
        }
        self.open(&text)
    }

    /// What this text is, if it was sealed here.
    pub(super) fn open<T: DeserializeOwned>(&self, text: &str) -> Option<T> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&keys::open(&self.key, &self.context, &sealed).ok()?).ok()
    }

    pub(super) fn seal<T: Serialize>(&self, what: &T) -> Result<String, String> {
        let text = serde_json::to_vec(what).map_err(|error| error.to_string())?;
        Ok(URL_SAFE_NO_PAD.encode(keys::seal(&self.key, &self.context, &text).map_err(|error| error.to_string())?))
    }

    /// `Set-Cookie` lines that make it hold this, for so long. Pieces of an earlier, longer one go.
    pub(super) fn set<T: Serialize>(&self, what: &T, seconds: Duration) -> Result<Vec<String>, String> {
        let sealed = self.seal(what)?;
        let mut pieces = sealed.as_bytes().chunks(PIECE).filter_map(|piece| std::str::from_utf8(piece).ok());
        let line = |end| match pieces.next() {
            Some(piece) => self.line(end, piece, seconds.as_secs()),
            None => self.line(end, "", 0),
        };
        let lines = ENDS.into_iter().map(line).collect();
        if pieces.next().is_some() {
            return Err(format!("the tokens take {} bytes, too many for cookies; let the server issue smaller ones", sealed.len()));
        }
        Ok(lines)
    }

    /// Lines that take it away.
    pub(super) fn clear(&self) -> Vec<String> {
        ENDS.into_iter().map(|end| self.line(end, "", 0)).collect()
    }

    /// Whether a cookie of this name is one of its pieces. It is asked of each cookie that a client cares to send.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        name.strip_prefix(self.name.as_bytes()).is_some_and(|rest| ENDS.iter().any(|end| end.as_bytes() == rest))
    }

    /// Not for scripts, and not sent along when another site makes the browser post something.
    pub(super) fn line(&self, end: &str, value: &str, seconds: u64) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{}{end}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", self.name)
    }
}
