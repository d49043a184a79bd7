//! `forward-plan`: of the forwarder that is running.

use std::time::Duration;

use wasmtime::Result;

use super::{header_line, header_name};
use crate::config::model;
use crate::plugin::bindings::plugway::gateway::forward_plan::{ChangeError, HeaderName, Host, PlanError, Protocol};
use crate::plugin::guest::Guest;
use crate::plugin::plan::{self, PlanDraft};

type Planned = Result<std::result::Result<(), PlanError>>;
type Changed = Result<std::result::Result<(), ChangeError>>;

impl From<plan::PlanError> for PlanError {
    fn from(error: plan::PlanError) -> Self {
        match error {
            plan::PlanError::Weaker => Self::Weaker,
            plan::PlanError::NotAllowed => Self::NotAllowed,
            plan::PlanError::Invalid(why) => Self::Invalid(why.to_owned()),
        }
    }
}

impl Guest {
    /// Writes on the plan. Where there is none, it is refused like anything else that cannot be in a plan.
    fn edit(
        &mut self,
        write: impl FnOnce(&mut PlanDraft) -> std::result::Result<(), plan::PlanError>,
    ) -> std::result::Result<(), PlanError> {
        match &mut self.plan {
            Some(plan) => Ok(write(plan)?),
            None => Err(PlanError::Invalid("there is no plan outside `forward`".to_owned())),
        }
    }
}

impl Host for Guest {
    fn scheme(&mut self) -> Result<String> {
        Ok(self.plan()?.scheme().to_owned())
    }

    fn set_scheme(&mut self, scheme: String) -> Planned {
        Ok(self.edit(|plan| plan.set_scheme(&scheme)))
    }

    fn set_tls_profile(&mut self, name: String) -> Planned {
        Ok(self.edit(|plan| plan.set_tls_profile(&name)))
    }

    fn set_server_name(&mut self, name: String) -> Planned {
        Ok(self.edit(|plan| plan.set_server_name(&name)))
    }

    fn set_protocol(&mut self, protocol: Protocol) -> Planned {
        let protocol = match protocol {
            Protocol::Http1 => model::Protocol::Http1,
            Protocol::Http2 => model::Protocol::Http2,
        };
        Ok(self.edit(|plan| plan.set_protocol(protocol)))
    }

    fn set_connect_timeout_ms(&mut self, milliseconds: u32) -> Planned {
        Ok(self.edit(|plan| plan.set_connect_timeout(Duration::from_millis(milliseconds.into()))))
    }

    fn set_response_timeout_ms(&mut self, milliseconds: u32) -> Planned {
        Ok(self.edit(|plan| plan.set_response_timeout(Duration::from_millis(milliseconds.into()))))
    }

    fn set_max_attempts(&mut self, attempts: u32) -> Planned {
        Ok(self.edit(|plan| plan.set_max_attempts(attempts)))
    }

    fn set_retry_on(&mut self, conditions: Vec<String>) -> Planned {
        Ok(self.edit(|plan| plan.set_retry_on(&conditions)))
    }

    fn path(&mut self) -> Result<String> {
        Ok(self.plan()?.path().to_owned())
    }

    fn set_path(&mut self, path: String) -> Planned {
        Ok(self.edit(|plan| plan.set_path(path)))
    }

    fn host(&mut self) -> Result<String> {
        Ok(self.plan()?.host().to_owned())
    }

    fn set_host(&mut self, host: String) -> Planned {
        Ok(self.edit(|plan| plan.set_host(&host)))
    }

    fn set_header(&mut self, name: HeaderName, value: Vec<u8>) -> Changed {
        let Some(plan) = &mut self.plan else { return Ok(Err(ChangeError::Immutable)) };
        let line = header_line(&mut self.names, &name, value);
        Ok(line.and_then(|(name, value)| Ok(plan.edit_header(&self.limits, name, Some(value))?)))
    }

    fn remove_header(&mut self, name: HeaderName) -> Changed {
        let Some(plan) = &mut self.plan else { return Ok(Err(ChangeError::Immutable)) };
        Ok(match header_name(&self.names, &name) {
            Some(name) => plan.edit_header(&self.limits, name, None).map_err(ChangeError::from),
            None => Err(ChangeError::Invalid("not a header name".into())),
        })
    }

    fn keep(&mut self) -> Result<()> {
        self.plan()?.keep = true;
        Ok(())
    }
}
