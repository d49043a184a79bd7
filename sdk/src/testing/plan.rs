//! Forward plans of the double.

use std::cell::RefCell;
use std::time::Duration;

use super::handle::Handle;
use super::{path, rules};
use crate::bindings::imports::plugway::gateway::forward_plan::{PlanError, Protocol};
use crate::bindings::imports::plugway::gateway::types::ChangeError;
use crate::forwarding::RetryCondition;
use crate::header::{self, HeaderLine, HeaderName};
use crate::plugin::ForwardError;

/// Builds a plan: the upstream's own settings, which a forwarder can tighten but not weaken.
#[derive(Debug, Clone)]
pub struct Plan {
    has_tls: bool,
    tls_profiles: Vec<String>,
    server_names: Vec<String>,
    planned: Planned,
}

/// A plan as it stands: the upstream's own settings where the forwarder left them.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// `http` or `https`.
    pub scheme: String,
    /// The TLS profile chosen.
    pub tls_profile: Option<String>,
    /// The server name chosen.
    pub server_name: Option<String>,
    /// The protocol chosen.
    pub protocol: Option<Protocol>,
    /// Time for connecting.
    pub connect_timeout: Duration,
    /// Time until the response head.
    pub response_timeout: Duration,
    /// Attempts in all.
    pub max_attempts: u32,
    /// What another attempt follows.
    pub retry_on: Vec<RetryCondition>,
    /// The path to send.
    pub path: String,
    /// The authority to send.
    pub host: String,
    /// Headers to set, in order.
    pub set_headers: Vec<HeaderLine>,
    /// Headers to remove, in order.
    pub removed_headers: Vec<String>,
    /// Whether it is for every request.
    pub kept: bool,
}

impl Plan {
    /// A plan for an endpoint with this scheme, `http` or `https`: path `/`, the host `gateway.example`, timeouts of 5 s
    /// and 60 s, two attempts, the second after `connect` or `reset`.
    pub fn new(scheme: &str) -> Self {
        Self {
            has_tls: scheme == "https",
            tls_profiles: Vec::new(),
            server_names: Vec::new(),
            planned: Planned {
                scheme: scheme.to_owned(),
                tls_profile: None,
                server_name: None,
                protocol: None,
                connect_timeout: Duration::from_secs(5),
                response_timeout: Duration::from_secs(60),
                max_attempts: 2,
                retry_on: vec![RetryCondition::Connect, RetryCondition::Reset],
                path: "/".to_owned(),
                host: "gateway.example".to_owned(),
                set_headers: Vec::new(),
                removed_headers: Vec::new(),
                kept: false,
            },
        }
    }

    /// Says that the upstream has TLS settings, so that a forwarder may ask an `http` endpoint for TLS.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.has_tls = true;
        self
    }

    /// Allows a TLS profile by name.
    #[must_use]
    pub fn tls_profile(mut self, name: &str) -> Self {
        self.tls_profiles.push(name.to_owned());
        self
    }

    /// Allows a server name.
    #[must_use]
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_names.push(name.to_owned());
        self
    }

    /// Sets the upstream's own timeouts: connecting, and until the response head.
    #[must_use]
    pub fn timeouts(mut self, connect: Duration, response: Duration) -> Self {
        self.planned.connect_timeout = connect;
        self.planned.response_timeout = response;
        self
    }

    /// Sets the upstream's own number of attempts.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.planned.max_attempts = attempts;
        self
    }

    /// Sets what another attempt follows, as the upstream's own `retry_on`.
    #[must_use]
    pub fn retry_on(mut self, conditions: &[RetryCondition]) -> Self {
        self.planned.retry_on = conditions.to_vec();
        self
    }

    /// Sets the path that would be sent.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.planned.path = path.to_owned();
        self
    }

    /// Sets the authority that would be sent.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.planned.host = host.to_owned();
        self
    }

    /// The plan as a hook gets it.
    pub fn build(self) -> crate::Plan<'static> {
        let own = self.planned.clone();
        crate::Plan::new(Handle::new(FakePlan {
            has_tls: self.has_tls,
            tls_profiles: self.tls_profiles,
            server_names: self.server_names,
            own,
            planned: RefCell::new(self.planned),
        }))
    }
}

/// What stands in for the gateway's plan. Its methods have the shape of the generated ones.
#[derive(Debug)]
pub(crate) struct FakePlan {
    has_tls: bool,
    tls_profiles: Vec<String>,
    server_names: Vec<String>,
    own: Planned,
    planned: RefCell<Planned>,
}

type Made = Result<(), PlanError>;

impl FakePlan {
    pub(crate) fn planned(&self) -> Planned {
        self.planned.borrow().clone()
    }

    pub(crate) fn restore(&self, planned: Planned) {
        self.planned.replace(planned);
    }

    /// Whether the gateway would take it: what a forwarder chose of TLS must not count for nothing.
    pub(crate) fn finished(&self) -> Result<(), ForwardError> {
        let planned = self.planned.borrow();
        let choice = match (&planned.tls_profile, &planned.server_name) {
            _ if planned.scheme == "https" => return Ok(()),
            (None, None) => return Ok(()),
            (Some(_), _) => "TLS profile",
            (None, Some(_)) => "server name",
        };
        Err(ForwardError::Failed(format!("chose a {choice} for an endpoint without TLS, and not the scheme `https`")))
    }

    pub(crate) fn scheme(&self) -> String {
        self.planned.borrow().scheme.clone()
    }

    pub(crate) fn set_scheme(&self, scheme: &str) -> Made {
        match scheme {
            "http" if self.own.scheme == "https" => return Err(PlanError::Weaker),
            "https" if !self.has_tls && self.planned.borrow().tls_profile.is_none() => return Err(PlanError::NotAllowed),
            "http" | "https" => self.planned.borrow_mut().scheme = scheme.to_owned(),
            _ => return Err(PlanError::Invalid("the scheme is neither http nor https".to_owned())),
        }
        Ok(())
    }

    pub(crate) fn set_tls_profile(&self, name: &str) -> Made {
        self.planned.borrow_mut().tls_profile = Some(one_of(&self.tls_profiles, name)?);
        Ok(())
    }

    pub(crate) fn set_server_name(&self, name: &str) -> Made {
        self.planned.borrow_mut().server_name = Some(one_of(&self.server_names, name)?);
        Ok(())
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) -> Made {
        self.planned.borrow_mut().protocol = Some(protocol);
        Ok(())
    }

    pub(crate) fn set_connect_timeout_ms(&self, milliseconds: u32) -> Made {
        self.planned.borrow_mut().connect_timeout = shorter(milliseconds, self.own.connect_timeout)?;
        Ok(())
    }

    pub(crate) fn set_response_timeout_ms(&self, milliseconds: u32) -> Made {
        self.planned.borrow_mut().response_timeout = shorter(milliseconds, self.own.response_timeout)?;
        Ok(())
    }

    pub(crate) fn set_max_attempts(&self, attempts: u32) -> Made {
        match attempts {
            0 => Err(PlanError::Invalid("there is always one attempt".to_owned())),
            _ if attempts > self.own.max_attempts => Err(PlanError::Weaker),
            _ => {
                self.planned.borrow_mut().max_attempts = attempts;
                Ok(())
            }
        }
    }

    pub(crate) fn set_retry_on(&self, words: &[&str]) -> Made {
        let conditions: Vec<RetryCondition> =
            words.iter().map(|word| word.parse()).collect::<Result<_, _>>().map_err(PlanError::Invalid)?;
        if !conditions.iter().all(|condition| self.own.retry_on.contains(condition)) {
            return Err(PlanError::Weaker);
        }
        self.planned.borrow_mut().retry_on = conditions;
        Ok(())
    }

    pub(crate) fn keep(&self) {
        self.planned.borrow_mut().kept = true;
    }

    pub(crate) fn path(&self) -> String {
        self.planned.borrow().path.clone()
    }

    pub(crate) fn set_path(&self, path: &str) -> Made {
        if path.len() > path::LONGEST_PATH {
            return Err(PlanError::Invalid("the path is longer than 32766 bytes".to_owned()));
        }
        if !path::is_normal_path(path) {
            return Err(PlanError::Invalid("the path is not in normal form".to_owned()));
        }
        self.planned.borrow_mut().path = path.to_owned();
        Ok(())
    }

    pub(crate) fn host(&self) -> String {
        self.planned.borrow().host.clone()
    }

    pub(crate) fn set_host(&self, host: &str) -> Made {
        if host.len() > 261 {
            return Err(PlanError::Invalid("the authority is longer than 261 bytes".to_owned()));
        }
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)) {
            return Err(PlanError::Invalid("not an authority".to_owned()));
        }
        self.planned.borrow_mut().host = host.to_owned();
        Ok(())
    }

    pub(crate) fn set_header(&self, name: HeaderName<'_>, value: &[u8]) -> Result<(), ChangeError> {
        let name = rules::header_line(name.as_str(), value, header::is_reserved)?;
        self.planned.borrow_mut().set_headers.push(HeaderLine { name, value: value.to_vec() });
        Ok(())
    }

    pub(crate) fn remove_header(&self, name: HeaderName<'_>) -> Result<(), ChangeError> {
        let name = rules::header_name(name.as_str(), header::is_reserved)?;
        // A plan has a line for what is removed, too.
        rules::one_more_line(name.len())?;
        self.planned.borrow_mut().removed_headers.push(name);
        Ok(())
    }
}

fn one_of(allowed: &[String], name: &str) -> Result<String, PlanError> {
    allowed.iter().find(|allowed| *allowed == name).cloned().ok_or(PlanError::NotAllowed)
}

fn shorter(milliseconds: u32, own: Duration) -> Result<Duration, PlanError> {
    let wanted = Duration::from_millis(milliseconds.into());
    if wanted.is_zero() {
        return Err(PlanError::Invalid("a timeout of nothing".to_owned()));
    }
    if wanted > own { Err(PlanError::Weaker) } else { Ok(wanted) }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, json};
    use crate::{EndpointId, Error, ForwardError, Forwarder, Plan, Plugin, Request};

    /// Makes these calls in turn.
    struct Chooses(Vec<String>);

    impl Plugin for Chooses {
        type Config = Vec<String>;
        fn configure(calls: Vec<String>) -> Result<Self, Error> {
            Ok(Self(calls))
        }
    }

    impl Forwarder for Chooses {
        fn forward(&self, _: &Request, _: EndpointId, plan: &mut Plan) -> Result<(), ForwardError> {
            for call in &self.0 {
                match call.as_str() {
                    "profile" => plan.set_tls_profile("mutual")?,
                    "name" => plan.set_server_name("orders.internal")?,
                    scheme => plan.set_scheme(scheme)?,
                }
            }
            Ok(())
        }
    }

    #[test]
    fn what_is_chosen_of_tls_is_not_for_requests_in_the_clear() {
        let forwarded = |scheme: &str, calls: &[&str]| {
            let mut plan = testing::Plan::new(scheme).tls_profile("mutual").server_name("orders.internal").build();
            let plugin = testing::configure::<Chooses>(json!(calls)).unwrap();
            let result = plugin.forward(&testing::Request::get("/").build(), 1, &mut plan);
            (result, testing::planned(&plan).tls_profile.is_some())
        };
        let in_vain: [(&[&str], &str); 3] =
            [(&["profile"], "TLS profile"), (&["name"], "server name"), (&["profile", "https", "http"], "TLS profile")];
        for (calls, choice) in in_vain {
            let (result, kept) = forwarded("http", calls);
            let why = format!("chose a {choice} for an endpoint without TLS, and not the scheme `https`");
            assert_eq!((result, kept), (Err(ForwardError::Failed(why)), false), "{calls:?}");
            // Where TLS is configured it is spoken anyway.
            let configured = calls.iter().filter(|call| **call != "http").copied().collect::<Vec<_>>();
            assert_eq!(forwarded("https", &configured).0, Ok(()), "{calls:?}");
        }
        assert_eq!(forwarded("http", &["profile", "https"]), (Ok(()), true));
        assert_eq!(forwarded("http", &["profile", "name", "https"]), (Ok(()), true));
        assert_eq!(forwarded("http", &[]), (Ok(()), false));
    }
}
