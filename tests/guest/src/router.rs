//! Picks the first available endpoint that was not tried yet, unless told otherwise.

use plugway_sdk::{Attempt, Endpoint, EndpointId, Error, Request, RouteError, Router, endpoints, log};

use crate::mode::Mode;
use crate::{Guest, Hook, behaviour};

impl Router for Guest {
    fn on_endpoints(&mut self, _: u64, endpoints: Vec<Endpoint>) -> Result<(), Error> {
        self.endpoints = endpoints;
        Ok(())
    }

    fn route(&self, request: &Request, attempt: &Attempt) -> Result<EndpointId, RouteError> {
        let mode = self.mode(Hook::Router, request);
        self.misbehave(mode)?;
        match mode {
            Mode::StaleEndpoint => return Ok(EndpointId::MAX),
            Mode::Lines => {
                let lines = request.headers();
                let mut lines: Vec<_> =
                    lines.iter().map(|line| format!("{}={}", line.name, String::from_utf8_lossy(&line.value))).collect();
                lines.sort();
                log::info!("try {} sees {}", attempt.number(), lines.join(" "));
            }
            Mode::Unavailable => return Err(RouteError::NoEndpoint),
            Mode::AttributeBytes(bytes) => {
                behaviour::outcome(&request.set_attribute("large", "a".repeat(bytes)));
            }
            _ => {}
        }
        let tried = attempt.tried();
        let mut candidates = self.endpoints.iter().map(|endpoint| endpoint.id).filter(|id| !tried.contains(id));
        let picked = match mode {
            Mode::Learn => candidates.find(|id| !self.failing.contains(id)),
            _ => candidates.find(|id| endpoints::available(*id)),
        };
        picked.ok_or(RouteError::NoEndpoint)
    }
}
