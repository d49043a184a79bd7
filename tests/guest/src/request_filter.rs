//! Changes to requests.

use plugway_sdk::{Error, Flow, Request, RequestFilter, header};

use crate::mode::Mode;
use crate::{Guest, Hook, behaviour};

impl RequestFilter for Guest {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let mode = self.mode(Hook::RequestFilter, request);
        self.misbehave(mode)?;
        if let Some(answer) = behaviour::answer(mode) {
            return Ok(Flow::Respond(answer));
        }
        self.change(mode, request)?;
        Ok(Flow::Next)
    }
}

impl Guest {
    /// Changes a request as told; authorizers do too.
    pub(crate) fn change(&self, mode: Mode, request: &mut Request) -> Result<(), Error> {
        let result = match mode {
            Mode::Mark => {
                std::hint::black_box(request.header(header::X_TENANT_ID));
                return Ok(request.set_header("x-plugin", "on")?);
            }
            Mode::Copy => {
                let value = request.header(header::X_TENANT_ID).unwrap_or_default();
                return Ok(request.set_header("x-copy", value)?);
            }
            Mode::Version => return Ok(request.set_header("x-version", behaviour::version())?),
            Mode::Who => {
                let who = request.identity().map_or_else(|| "nobody".to_owned(), |identity| identity.subject());
                return Ok(request.set_header("x-who", who)?);
            }
            Mode::ChangeThenTrap => {
                request.set_header("x-changed", "yes")?;
                request.remove_header(header::X_TENANT_ID)?;
                request.append_response_header("x-changed", "yes")?;
                request.set_attribute("changed", true)?;
                behaviour::trap()
            }
            Mode::LeaveAndAnswer | Mode::LeaveAndTrap => return Ok(request.append_response_header("x-left", "yes")?),
            Mode::BadQuery => request.set_query(Some("a=<b>")),
            Mode::ForbiddenHeader => request.set_header(header::CONTENT_LENGTH, "0"),
            Mode::InvalidHeader => request.set_header("x-split", "a\r\nx-injected: b"),
            Mode::SetPath => request.set_path("/rewritten"),
            Mode::BadPath => request.set_path("/a/../b"),
            Mode::PathBytes(bytes) => request.set_path(&format!("/{:a>1$}", "", bytes.saturating_sub(1))),
            Mode::Headers(count) => (0..count).try_for_each(|number| request.set_header(&*format!("x-many-{number}"), "1")),
            Mode::HeaderBytes(bytes) => request.set_header("x-large", "v".repeat(bytes)),
            Mode::AttributeBytes(bytes) => request.set_attribute("large", "a".repeat(bytes)),
            _ => match behaviour::knock(mode) {
                Some(found) => return Ok(request.set_header("x-result", found)?),
                None => return Ok(()),
            },
        };
        // Past a limit there may be no room for this header either; the log line is there already.
        let _ = request.set_header("x-result", behaviour::outcome(&result));
        Ok(())
    }
}
