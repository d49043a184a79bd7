//! `forwarding.forward-plan`.

use std::time::Duration;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::{header_line, header_name};
use crate::config::model;
use crate::plugin::bindings::plugway::gateway::forwarding::{ChangeError, HeaderName, Host, HostForwardPlan, PlanError, Protocol};
use crate::plugin::guest::{Guest, PlanHandle};
use crate::plugin::plan;

type Plan = Resource<PlanHandle>;
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

impl Host for Guest {}

impl HostForwardPlan for Guest {
    fn scheme(&mut self, _: Plan) -> Result<String> {
        Ok(self.plan()?.scheme().to_owned())
    }

    fn set_scheme(&mut self, _: Plan, scheme: String) -> Planned {
        Ok(self.plan()?.set_scheme(&scheme).map_err(Into::into))
    }

    fn set_tls_profile(&mut self, _: Plan, name: String) -> Planned {
        Ok(self.plan()?.set_tls_profile(&name).map_err(Into::into))
    }

    fn set_server_name(&mut self, _: Plan, name: String) -> Planned {
        Ok(self.plan()?.set_server_name(&name).map_err(Into::into))
    }

    fn set_protocol(&mut self, _: Plan, protocol: Protocol) -> Planned {
        let protocol = match protocol {
            Protocol::Http1 => model::Protocol::Http1,
            Protocol::Http2 => model::Protocol::Http2,
        };
        Ok(self.plan()?.set_protocol(protocol).map_err(Into::into))
    }

    fn set_connect_timeout_ms(&mut self, _: Plan, milliseconds: u32) -> Planned {
        Ok(self.plan()?.set_connect_timeout(Duration::from_millis(milliseconds.into())).map_err(Into::into))
    }

    fn set_response_timeout_ms(&mut self, _: Plan, milliseconds: u32) -> Planned {
        Ok(self.plan()?.set_response_timeout(Duration::from_millis(milliseconds.into())).map_err(Into::into))
    }

    fn set_max_attempts(&mut self, _: Plan, attempts: u32) -> Planned {
        Ok(self.plan()?.set_max_attempts(attempts).map_err(Into::into))
    }

    fn path(&mut self, _: Plan) -> Result<String> {
        Ok(self.plan()?.path().to_owned())
    }

    fn set_path(&mut self, _: Plan, path: String) -> Planned {
        Ok(self.plan()?.set_path(path).map_err(Into::into))
    }

    fn host(&mut self, _: Plan) -> Result<String> {
        Ok(self.plan()?.host().to_owned())
    }

    fn set_host(&mut self, _: Plan, host: String) -> Planned {
        Ok(self.plan()?.set_host(&host).map_err(Into::into))
    }

    fn set_header(&mut self, _: Plan, name: HeaderName, value: Vec<u8>) -> Changed {
        let limits = self.limits;
        let line = header_line(&mut self.names, &name, value);
        let plan = self.plan()?;
        Ok(line.and_then(|(name, value)| Ok(plan.edit_header(&limits, name, Some(value))?)))
    }

    fn remove_header(&mut self, _: Plan, name: HeaderName) -> Changed {
        let limits = self.limits;
        let plan = self.plan()?;
        Ok(match header_name(&name) {
            Some(name) => plan.edit_header(&limits, name, None).map_err(ChangeError::from),
            None => Err(ChangeError::Invalid("not a header name".into())),
        })
    }

    fn drop(&mut self, _: Plan) -> Result<()> {
        Ok(())
    }
}
