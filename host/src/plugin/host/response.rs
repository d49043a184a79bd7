//! `types.response`.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::{all, every, first, header_line, header_name};
use crate::exchange::{Origin, ResponseHead};
use crate::plugin::bindings::plugway::gateway::types::{ChangeError, Header, HeaderName, HostResponse, ResponseOrigin};
use crate::plugin::guest::{Guest, ResponseHandle};

type Response = Resource<ResponseHandle>;
type Changed = Result<std::result::Result<(), ChangeError>>;

impl Guest {
    fn response(&mut self) -> Result<&mut ResponseHead> {
        self.exchange()?.response.as_mut().ok_or_else(|| wasmtime::Error::msg("used a response outside the hook it was lent to"))
    }
}

impl HostResponse for Guest {
    fn status(&mut self, _: Response) -> Result<u16> {
        Ok(self.response()?.status.as_u16())
    }

    fn set_status(&mut self, _: Response, status: u16) -> Changed {
        let phase = self.phase;
        Ok(self.exchange()?.set_status(phase, status).map_err(ChangeError::from))
    }

    fn origin(&mut self, _: Response) -> Result<ResponseOrigin> {
        Ok(match &self.response()?.origin {
            Origin::Upstream(endpoint) => ResponseOrigin::Upstream(*endpoint),
            Origin::Gateway(fault) => ResponseOrigin::Gateway(fault.code().to_owned()),
            Origin::Plugin(name) => ResponseOrigin::Plugin(name.to_string()),
        })
    }

    fn header(&mut self, _: Response, name: HeaderName) -> Result<Option<Vec<u8>>> {
        Ok(first(&self.response()?.headers, &name))
    }

    fn header_values(&mut self, _: Response, name: HeaderName) -> Result<Vec<Vec<u8>>> {
        Ok(every(&self.response()?.headers, &name))
    }

    fn headers(&mut self, _: Response) -> Result<Vec<Header>> {
        Ok(all(&self.response()?.headers))
    }

    fn set_header(&mut self, _: Response, name: HeaderName, value: Vec<u8>) -> Changed {
        let (phase, limits) = (self.phase, self.limits);
        let line = header_line(&mut self.names, &name, value);
        let exchange = self.exchange()?;
        Ok(line.and_then(|(name, value)| Ok(exchange.set_response_header(phase, &limits, name, value)?)))
    }

    fn append_header(&mut self, _: Response, name: HeaderName, value: Vec<u8>) -> Changed {
        let (phase, limits) = (self.phase, self.limits);
        let line = header_line(&mut self.names, &name, value);
        let exchange = self.exchange()?;
        Ok(line.and_then(|(name, value)| Ok(exchange.append_response_header(phase, &limits, name, value)?)))
    }

    fn remove_header(&mut self, _: Response, name: HeaderName) -> Changed {
        let phase = self.phase;
        let exchange = self.exchange()?;
        Ok(match header_name(&name) {
            Some(name) => exchange.remove_response_header(phase, &name).map_err(ChangeError::from),
            None => Err(ChangeError::Invalid("not a header name".into())),
        })
    }

    fn drop(&mut self, _: Response) -> Result<()> {
        Ok(())
    }
}
