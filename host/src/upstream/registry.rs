//! From configuration to upstreams, on the control side. Remembers what must survive a reload: endpoint ids, what was
//! learned about endpoints, and TLS profiles whose files have not changed (with them the open connections).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Instant;

use http::HeaderValue;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use tokio::sync::Notify;

use super::endpoint::{ConnectionLimits, EndpointFacts};
use super::profile::{ProfileFiles, parse_server_name};
use super::{Endpoint, EndpointId, EndpointState, HostHeader, Profile, Upstream, UpstreamState};
use crate::config::model::{self, HostPolicy, TlsProfile};
use crate::places::Quota;
use crate::tls_files::SettingError;

/// Assembles upstreams. One per process: ids are unique within it.
#[derive(Debug, Default)]
pub struct Registry {
    /// By worker: asks it to give up unused connections for which others wait.
    asked: Box<[Arc<Notify>]>,
    last_endpoint: EndpointId,
    last_profile: u64,
    /// By upstream, then URL. An id stays reserved for its URL; the state goes when nothing uses it any more.
    endpoints: HashMap<String, HashMap<String, (EndpointId, Weak<EndpointState>)>>,
    upstreams: HashMap<String, Weak<UpstreamState>>,
    /// By upstream: what was last assembled, and its version.
    memberships: HashMap<String, (u64, Vec<Member>)>,
    /// By upstream and profile name (`None` is the upstream's own), with the fingerprint of its files.
    profiles: HashMap<(String, Option<String>), ([u8; 32], Weak<Profile>)>,
    system_roots: Option<Arc<RootCertStore>>,
}

/// What a router is told of an endpoint; its URL goes with the id.
type Member = (EndpointId, u16, BTreeMap<String, String>);

// === impl Registry ===

impl Registry {
    /// Nothing remembered, for upstreams that so many workers will use; 0 where only somebody else does.
    pub fn new(workers: usize) -> Self {
        Self { asked: (0..workers).map(|_| Arc::default()).collect(), ..Self::default() }
    }

    /// Reads the upstream's files and builds everything its requests will need.
    ///
    /// # Errors
    /// Every file, name and header value that cannot be used. What was remembered stays as it was.
    pub fn assemble(&mut self, model: &model::Upstream) -> Result<Arc<Upstream>, Vec<SettingError>> {
        let mut errors = Vec::new();
        let uses_tls = model.endpoints.iter().any(|endpoint| endpoint.tls);
        // Without TLS endpoints a profile is for forwarders that ask for TLS; the system's roots are not read for nothing.
        let default_profile = (uses_tls || model.tls != TlsProfile::default())
            .then(|| self.profile(&model.name, None, &model.tls))
            .and_then(|made| made.map_err(|found| errors.extend(found)).ok());
        let mut profiles = Vec::with_capacity(model.tls_profiles.len());
        for (name, profile) in &model.tls_profiles {
            match self.profile(&model.name, Some(name), profile) {
                Ok(profile) => profiles.push(profile),
                Err(found) => errors.extend(found),
            }
        }
        let mut server_names = Vec::with_capacity(model.server_names.len());
        for (index, name) in model.server_names.iter().enumerate() {
            match parse_server_name(name) {
                Ok(parsed) => server_names.push((name.clone(), Arc::new(parsed))),
                Err(problem) => errors.push(SettingError::new(format!("server_names[{index}]"), problem)),
            }
        }
        let host = match &model.host {
            HostPolicy::Client => HostHeader::Client,
            HostPolicy::Endpoint => HostHeader::Endpoint,
            HostPolicy::Fixed(host) => match HeaderValue::from_str(host) {
                Ok(host) => HostHeader::Fixed(host),
                Err(_) => {
                    errors.push(SettingError::new("host.fixed", format!("{host:?} cannot stand in a header")));
                    HostHeader::Client
                }
            },
        };
        let state = self.upstream_state(&model.name);
        // An endpoint that has left keeps its id, and not the room of what was known of it.
        for (_, state) in self.endpoints.get_mut(&model.name).into_iter().flat_map(|known| known.values_mut()) {
            if state.strong_count() == 0 {
                *state = Weak::new();
            }
        }
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::with_capacity(model.endpoints.len());
        let mut by_id = super::IdMap::default();
        for (index, member) in model.endpoints.iter().enumerate() {
            let setting = || format!("endpoints[{index}]");
            match self.endpoint(model, member, &state) {
                Ok(endpoint) if by_id.insert(endpoint.id, endpoints.len()).is_none() => endpoints.push(Arc::new(endpoint)),
                Ok(twice) => {
                    let problem = format!("{} is listed twice: list it once and give it the weight of both", twice.url);
                    errors.push(SettingError::new(setting(), problem));
                }
                Err(problem) => errors.push(SettingError::new(setting(), problem)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Arc::new(Upstream {
            name: Arc::from(model.name.as_str()),
            version: self.version(&model.name, &endpoints),
            endpoints,
            protocol: model.protocol,
            host,
            connect_timeout: model.connect_timeout,
            response_timeout: model.response_timeout,
            stream_timeout: model.stream_timeout,
            max_attempts: model.max_attempts,
            retry_on: model.retry_on,
            state,
            by_id: Arc::new(by_id),
            default_profile,
            profiles,
            server_names,
        }))
    }

    /// The version of these members: that of the last ones, where they are the same.
    fn version(&mut self, upstream: &str, endpoints: &[Arc<Endpoint>]) -> u64 {
        let members: Vec<Member> = endpoints.iter().map(|endpoint| (endpoint.id, endpoint.weight, endpoint.labels.clone())).collect();
        let (version, last) = self.memberships.entry(upstream.to_owned()).or_default();
        if *version == 0 || *last != members {
            (*version, *last) = (*version + 1, members);
        }
        *version
    }

    fn upstream_state(&mut self, name: &str) -> Arc<UpstreamState> {
        if let Some(state) = self.upstreams.get(name).and_then(Weak::upgrade) {
            return state;
        }
        let state = Arc::new(UpstreamState::new(self.asked.len()));
        self.upstreams.insert(name.to_owned(), Arc::downgrade(&state));
        state
    }

    fn endpoint(
        &mut self,
        upstream: &model::Upstream,
        model: &model::Endpoint,
        upstream_state: &Arc<UpstreamState>,
    ) -> Result<Endpoint, String> {
        let url = model.url();
        let known = self.endpoints.entry(upstream.name.clone()).or_default();
        let (id, state) = match known.get(&url) {
            Some((id, state)) => (*id, state.upgrade()),
            None => {
                self.last_endpoint += 1;
                (self.last_endpoint, None)
            }
        };
        let state = state.unwrap_or_else(|| Arc::new(EndpointState::new(&self.asked, Instant::now())));
        known.insert(url.clone(), (id, Arc::downgrade(&state)));
        let server_name: Option<ServerName<'static>> =
            if model.tls { Some(parse_server_name(&model.host)?) } else { parse_server_name(&model.host).ok() };
        let facts = EndpointFacts {
            id,
            authority: authority(model)?,
            url,
            host: model.host.clone(),
            port: model.port,
            tls: model.tls,
            weight: model.weight,
            labels: BTreeMap::clone(&model.labels),
            server_name,
            limits: ConnectionLimits {
                idle_timeout: upstream.idle_timeout,
                idle: Quota::new(upstream.max_idle_connections, self.asked.len()),
                max_open: upstream.max_connections,
            },
        };
        Ok(Endpoint::new(facts, state, Arc::clone(upstream_state)))
    }

    fn profile(&mut self, upstream: &str, name: Option<&str>, model: &TlsProfile) -> Result<Arc<Profile>, Vec<SettingError>> {
        let table = name.map_or_else(|| "tls".to_owned(), |name| format!("tls_profiles.{name}"));
        let error = |error: SettingError| vec![error.inside(&table)];
        let files = ProfileFiles::read(model).map_err(|errors| errors.into_iter().flat_map(error).collect::<Vec<_>>())?;
        let fingerprint = files.fingerprint();
        let place = (upstream.to_owned(), name.map(str::to_owned));
        if let Some((before, profile)) = self.profiles.get(&place)
            && *before == fingerprint
            && let Some(profile) = profile.upgrade()
        {
            return Ok(profile);
        }
        let roots = if files.needs_system_roots() { self.system_roots().map_err(error)? } else { Arc::new(RootCertStore::empty()) };
        self.last_profile += 1;
        let profile = Arc::new(files.build(name, self.last_profile, model, &roots).map_err(error)?);
        self.profiles.insert(place, (fingerprint, Arc::downgrade(&profile)));
        Ok(profile)
    }

    /// Read once, and only when some profile needs them.
    fn system_roots(&mut self) -> Result<Arc<RootCertStore>, SettingError> {
        if let Some(roots) = &self.system_roots {
            return Ok(Arc::clone(roots));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            let problem =
                format!("this system has no trusted root certificates{why}: install its `ca-certificates` package or name a PEM file here");
            return Err(SettingError::new("ca", problem));
        }
        let roots = Arc::new(roots);
        self.system_roots = Some(Arc::clone(&roots));
        Ok(roots)
    }
}

/// RFC 9110, section 4.2.1 and 4.2.2: the scheme's own port is left out.
fn authority(endpoint: &model::Endpoint) -> Result<HeaderValue, String> {
    let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
    let authority = if endpoint.port == if endpoint.tls { 443 } else { 80 } { host } else { format!("{host}:{}", endpoint.port) };
    HeaderValue::from_str(&authority).map_err(|_| format!("{authority:?} is no host"))
}

#[cfg(test)]
pub(super) mod tests;
