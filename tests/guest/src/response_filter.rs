//! Changes to responses.

use plugway_sdk::{Error, Flow, LocalResponse, Request, Response, ResponseFilter, header};

use crate::mode::Mode;
use crate::{Guest, Hook, behaviour};

impl ResponseFilter for Guest {
    fn on_response(&self, request: &Request, response: &mut Response) -> Result<Flow, Error> {
        let mode = self.mode(Hook::ResponseFilter, request);
        self.misbehave(mode)?;
        if let Some(answer) = behaviour::answer(mode) {
            return Ok(Flow::Respond(answer));
        }
        let result = match mode {
            Mode::Mark => {
                std::hint::black_box(request.header(header::X_TENANT_ID));
                response.set_header("x-plugin", "on")?;
                return Ok(Flow::Next);
            }
            Mode::Copy => {
                let value = response.header(header::CONTENT_TYPE).unwrap_or_default();
                response.set_header("x-copy", value)?;
                return Ok(Flow::Next);
            }
            Mode::Version => {
                response.set_header("x-version", behaviour::version())?;
                return Ok(Flow::Next);
            }
            Mode::ChangeThenTrap => {
                response.set_header("x-changed", "yes")?;
                response.remove_header(header::CONTENT_TYPE)?;
                behaviour::trap()
            }
            Mode::LeaveAndAnswer => return Ok(Flow::respond(LocalResponse::text(203, "instead"))),
            Mode::LeaveAndTrap => behaviour::trap(),
            Mode::ForbiddenHeader => response.set_header(header::CONTENT_LENGTH, "0"),
            Mode::InvalidHeader => response.set_header("x-split", "a\r\nx-injected: b"),
            Mode::Weaken => response.set_status(418),
            Mode::SetPath => response.set_status(204),
            Mode::Headers(count) => (0..count).try_for_each(|number| response.set_header(&*format!("x-many-{number}"), "1")),
            Mode::HeaderBytes(bytes) => response.set_header("x-large", "v".repeat(bytes)),
            Mode::AttributeBytes(bytes) => request.set_attribute("large", "a".repeat(bytes)),
            _ => match behaviour::knock(mode) {
                Some(found) => {
                    response.set_header("x-result", found)?;
                    return Ok(Flow::Next);
                }
                None => return Ok(Flow::Next),
            },
        };
        // Past a limit there may be no room for this header either; the log line is there already.
        let _ = response.set_header("x-result", behaviour::outcome(&result));
        Ok(Flow::Next)
    }
}
