//! Changes to forward plans.

use plugway_sdk::{ChangeError, EndpointId, ForwardError, Forwarder, Plan, PlanError, Request, header};

use crate::mode::Mode;
use crate::{Guest, Hook, behaviour};

impl Forwarder for Guest {
    fn forward(&self, request: &Request, _: EndpointId, plan: &mut Plan) -> Result<(), ForwardError> {
        let mode = self.mode(Hook::Forwarder, request);
        self.misbehave(mode)?;
        let result = match mode {
            Mode::Unavailable => return Err(ForwardError::Refused),
            Mode::Mark => {
                std::hint::black_box(request.header(header::X_TENANT_ID));
                return Ok(plan.set_header("x-plugin", "on")?);
            }
            Mode::KeepPlan => {
                plan.set_header("x-plan", request.header(header::X_TENANT_ID).unwrap_or_default())?;
                plan.keep();
                return Ok(());
            }
            Mode::ChangeThenTrap => {
                plan.set_header("x-changed", "yes")?;
                plan.set_path("/changed")?;
                behaviour::trap()
            }
            Mode::Weaken => planned(plan.set_scheme("http")),
            Mode::ForeignProfile => planned(plan.set_tls_profile("foreign")),
            Mode::ForeignName => planned(plan.set_server_name("foreign.example")),
            Mode::SetPath => planned(plan.set_path("/rewritten")),
            Mode::BadPath => planned(plan.set_path("/a/../b")),
            Mode::PathBytes(bytes) => planned(plan.set_path(&format!("/{:a>1$}", "", bytes.saturating_sub(1)))),
            Mode::ForbiddenHeader => plan.set_header(header::CONTENT_LENGTH, "0"),
            Mode::InvalidHeader => plan.set_header("x-split", "a\r\nx-injected: b"),
            Mode::Headers(count) => (0..count).try_for_each(|number| plan.set_header(&*format!("x-many-{number}"), "1")),
            Mode::HeaderBytes(bytes) => plan.set_header("x-large", "v".repeat(bytes)),
            _ => return Ok(()),
        };
        // Past a limit there may be no room for this header either; the log line is there already.
        let _ = plan.set_header("x-result", behaviour::outcome(&result));
        Ok(())
    }
}

/// The outcome of a part of a plan, in the words for changes.
fn planned(result: Result<(), PlanError>) -> Result<(), ChangeError> {
    result.map_err(|error| match error {
        PlanError::Weaker | PlanError::NotAllowed => ChangeError::Forbidden,
        PlanError::Invalid(why) => ChangeError::Invalid(why),
    })
}
