//! The gateway's own cookies, kept from the upstream.

use plugway_sdk::{ChangeError, LocalResponse, Request, Status, header};

use super::Login;

impl Login {
    /// Takes the session from the request: the upstream has no use for it. What else is in `Cookie` stays as it was written, so it grows no longer,
    /// and where there is no session nothing is touched: how much there is to look through, the client chooses. Where more stays than the plugin's
    /// `max_header_bytes` let it set again, this is the answer (RFC 6585, section 5): an upstream that gets half of its cookies, or none, would take
    /// somebody for somebody else.
    pub(crate) fn take_cookies(&self, request: &mut Request<'_>) -> Result<Option<LocalResponse>, ChangeError> {
        let lines = request.header_values(header::COOKIE);
        if !lines.iter().any(|line| pairs(line).any(|pair| self.is_own(pair))) {
            return Ok(None);
        }
        request.remove_header(header::COOKIE)?;
        for line in lines {
            let kept = self.without_own(&line);
            let kept = kept.trim_ascii();
            if kept.is_empty() {
                continue;
            }
            match request.append_header(header::COOKIE, kept) {
                Err(ChangeError::TooLarge) => {
                    return Ok(Some(LocalResponse::problem(Status(431), "The request has too many cookies.").into()));
                }
                appended => appended?,
            }
        }
        Ok(None)
    }

    fn without_own(&self, line: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(line.len());
        for pair in pairs(line).filter(|pair| !self.is_own(pair) && !pair.trim_ascii().is_empty()) {
            if !kept.is_empty() {
                kept.push(b';');
            }
            kept.extend_from_slice(pair);
        }
        kept
    }

    fn is_own(&self, pair: &[u8]) -> bool {
        let name = name(pair);
        self.sessions.is(name) || self.begun.is(name)
    }
}

/// What `Cookie` has, each with its name.
pub(super) fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';')
}

pub(super) fn name(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}
