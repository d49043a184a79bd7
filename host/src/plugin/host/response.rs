//! `response`: of the exchange of the response filter that is running.

use wasmtime::Result;

use super::{all, every, first, header_line, header_name};
use crate::exchange::{Exchange, Origin, ResponseHead};
use crate::plugin::bindings::plugway::gateway::response::{ChangeError, HeaderLine, HeaderName, Host, ResponseOrigin};
use crate::plugin::guest::Guest;
use crate::plugin::names::Names;

type Changed = Result<std::result::Result<(), ChangeError>>;

impl Guest {
    fn response(&mut self) -> Result<(&mut ResponseHead, &mut Names)> {
        let (exchange, names) = self.exchange_and_names()?;
        let response = exchange.response.as_mut().ok_or_else(|| wasmtime::Error::msg("used `response` where there is none yet"))?;
        Ok((response, names))
    }
}

impl Host for Guest {
    fn status(&mut self) -> Result<u16> {
        Ok(self.response()?.0.status.as_u16())
    }

    fn set_status(&mut self, status: u16) -> Changed {
        let phase = self.phase;
        Ok(self.change_exchange(|exchange, _| Ok(exchange.set_status(phase, status)?)))
    }

    fn origin(&mut self) -> Result<ResponseOrigin> {
        Ok(match &self.response()?.0.origin {
            Origin::Upstream(endpoint) => ResponseOrigin::Upstream(*endpoint),
            Origin::Gateway(fault) => ResponseOrigin::Gateway(fault.code().to_owned()),
            Origin::Plugin(name) => ResponseOrigin::Plugin(name.to_string()),
        })
    }

    fn header(&mut self, name: HeaderName) -> Result<Option<Vec<u8>>> {
        let (response, names) = self.response()?;
        Ok(first(&response.headers, names, &name))
    }

    fn header_values(&mut self, name: HeaderName) -> Result<Vec<Vec<u8>>> {
        let (response, names) = self.response()?;
        Ok(every(&response.headers, names, &name))
    }

    fn headers(&mut self) -> Result<Vec<HeaderLine>> {
        Ok(all(&self.response()?.0.headers))
    }

    fn set_header(&mut self, name: HeaderName, value: Vec<u8>) -> Changed {
        let (phase, limits) = (self.phase, self.limits);
        Ok(self.change_exchange(|exchange, names| {
            let (name, value) = header_line(names, &name, value)?;
            Ok(exchange.set_response_header(phase, &limits, name, value)?)
        }))
    }

    fn set_line(&mut self, line: u16) -> Changed {
        Ok(self.write_line(line, Exchange::set_response_line))
    }

    fn append_header(&mut self, name: HeaderName, value: Vec<u8>) -> Changed {
        let (phase, limits) = (self.phase, self.limits);
        Ok(self.change_exchange(|exchange, names| {
            let (name, value) = header_line(names, &name, value)?;
            Ok(exchange.append_response_header(phase, &limits, name, value)?)
        }))
    }

    fn remove_header(&mut self, name: HeaderName) -> Changed {
        let phase = self.phase;
        Ok(self.change_exchange(|exchange, names| match header_name(names, &name) {
            Some(name) => Ok(exchange.remove_response_header(phase, &name)?),
            None => Err(ChangeError::Invalid("not a header name".into())),
        }))
    }
}
