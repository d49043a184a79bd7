//! `forward-plan`: of the forwarder that is running.

use std::time::Duration;

use wasmtime::Result;

use super::{header_line, header_name};
use crate::config::model;
use crate::plugin::bindings::plugway::gateway::forward_plan::{ChangeError, HeaderName, Host, PlanError, Protocol};
use crate::plugin::guest::Guest;
use crate::plugin::plan;

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

impl Host for Guest {
    fn scheme(&mut self) -> Result<String> {
        Ok(self.plan()?.0.scheme().to_owned())
    }

    fn set_scheme(&mut self, scheme: String) -> Planned {
        Ok(self.plan()?.0.set_scheme(&scheme).map_err(Into::into))
    }

    fn set_tls_profile(&mut self, name: String) -> Planned {
        Ok(self.plan()?.0.set_tls_profile(&name).map_err(Into::into))
    }

    fn set_server_name(&mut self, name: String) -> Planned {
        Ok(self.plan()?.0.set_server_name(&name).map_err(Into::into))
    }

    fn set_protocol(&mut self, protocol: Protocol) -> Planned {
        let protocol = match protocol {
            Protocol::Http1 => model::Protocol::Http1,
            Protocol::Http2 => model::Protocol::Http2,
        };
        Ok(self.plan()?.0.set_protocol(protocol).map_err(Into::into))
    }

    fn set_connect_timeout_ms(&mut self, milliseconds: u32) -> Planned {
        Ok(self.plan()?.0.set_connect_timeout(Duration::from_millis(milliseconds.into())).map_err(Into::into))
    }

    fn set_response_timeout_ms(&mut self, milliseconds: u32) -> Planned {
        Ok(self.plan()?.0.set_response_timeout(Duration::from_millis(milliseconds.into())).map_err(Into::into))
    }

    fn set_max_attempts(&mut self, attempts: u32) -> Planned {
        Ok(self.plan()?.0.set_max_attempts(attempts).map_err(Into::into))
    }

    fn set_retry_on(&mut self, conditions: Vec<String>) -> Planned {
        Ok(self.plan()?.0.set_retry_on(&conditions).map_err(Into::into))
    }

    fn path(&mut self) -> Result<String> {
        Ok(self.plan()?.0.path().to_owned())
    }

    fn set_path(&mut self, path: String) -> Planned {
        Ok(self.plan()?.0.set_path(path).map_err(Into::into))
    }

    fn host(&mut self) -> Result<String> {
        Ok(self.plan()?.0.host().to_owned())
    }

    fn set_host(&mut self, host: String) -> Planned {
        Ok(self.plan()?.0.set_host(&host).map_err(Into::into))
    }

    fn set_header(&mut self, name: HeaderName, value: Vec<u8>) -> Changed {
        let limits = self.limits;
        let (plan, names) = self.plan()?;
        let line = header_line(names, &name, value);
        Ok(line.and_then(|(name, value)| Ok(plan.edit_header(&limits, name, Some(value))?)))
    }

    fn keep(&mut self) -> Result<()> {
        self.plan()?.0.keep = true;
        Ok(())
    }

    fn remove_header(&mut self, name: HeaderName) -> Changed {
        let limits = self.limits;
        let (plan, names) = self.plan()?;
        Ok(match header_name(names, &name) {
            Some(name) => plan.edit_header(&limits, name, None).map_err(ChangeError::from),
            None => Err(ChangeError::Invalid("not a header name".into())),
        })
    }
}
