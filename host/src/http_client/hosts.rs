//! Connections to hosts that are no endpoint of an upstream. A name is looked up, its addresses are held against the grant, and what is
//! connected to is the very address that was found good: a name that changes its address in between changes nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use ipnet::IpNet;
use tokio::sync::watch;
use tokio::time::Instant;

use super::address;
use super::message::HttpError;
use super::place::Origin;
use crate::config::defaults;
use crate::config::model::{self, HostPolicy, Protocol, RetryOn, TlsProfile};
use crate::upstream::{Pool, Registry, Upstream};

/// Hosts, by address, that are known at once. Past it all of them are forgotten, with their unused connections.
const MAX_KNOWN: usize = 1024;

/// Names that are looked up at once. A look-up that its requests gave up on goes on in a thread of the system's resolver, and there are no more
/// than some hundreds of these.
const MAX_LOOKUPS: usize = 256;

/// Every host this thread has spoken to.
#[derive(Debug)]
pub(super) struct Hosts {
    known: RefCell<Known>,
    resolver: Resolver,
    lookups: Lookups,
}

/// Look-ups on their way, by host and port: whoever asks for the same name waits for the same answer.
type Lookups = Rc<RefCell<HashMap<(String, u16), watch::Receiver<Option<Found>>>>>;
type Found = Result<Vec<IpAddr>, HttpError>;

#[derive(Debug, Default)]
struct Known {
    registry: Registry,
    pool: Rc<Pool<Full<Bytes>>>,
    upstreams: HashMap<(Origin, IpAddr), Arc<Upstream>>,
}

/// Who finds the addresses of a name.
#[derive(Debug, Clone)]
pub(super) enum Resolver {
    /// The system.
    System,
    /// A list, for tests: the first answer first, the last one ever after.
    #[cfg(test)]
    Listed(Rc<RefCell<Vec<Vec<IpAddr>>>>),
    /// For tests: it answers when it is told to, and counts who asks.
    #[cfg(test)]
    Slow(Rc<(std::cell::Cell<usize>, tokio::sync::Notify)>),
}

impl Resolver {
    async fn find(&self, host: &str, port: u16) -> Found {
        match self {
            Self::System => match tokio::net::lookup_host((host, port)).await {
                Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
                Err(error) => Err(HttpError::Unresolved(format!("{host}: {error}"))),
            },
            #[cfg(test)]
            Self::Listed(answers) => {
                let mut answers = answers.borrow_mut();
                Ok(if answers.len() > 1 { answers.remove(0) } else { answers.first().cloned().unwrap_or_default() })
            }
            #[cfg(test)]
            Self::Slow(asked) => {
                asked.0.set(asked.0.get() + 1);
                asked.1.notified().await;
                Ok(vec![IpAddr::from([1, 1, 1, 1])])
            }
        }
    }
}

impl Hosts {
    pub(super) fn new(resolver: Resolver) -> Self {
        Self { known: RefCell::default(), resolver, lookups: Lookups::default() }
    }

    /// The addresses of a host that may be connected to.
    pub(super) async fn addresses(&self, origin: &Origin, granted: &[IpNet]) -> Result<Vec<IpAddr>, HttpError> {
        let found = match origin.literal() {
            Some(address) => vec![address],
            None => self.look_up(&origin.host, origin.port).await?,
        };
        address::allowed(&origin.host, found, granted)
    }

    /// What a name stands for. The look-up goes on where nobody waits for it any more, and whoever asks meanwhile joins it: a name that is slow to be
    /// found takes one thread of the resolver, however often it is asked for.
    async fn look_up(&self, host: &str, port: u16) -> Found {
        let key = (host.to_owned(), port);
        let on_its_way = self.lookups.borrow().get(&key).cloned();
        let mut found = match on_its_way {
            Some(found) => found,
            None if self.lookups.borrow().len() >= MAX_LOOKUPS => {
                return Err(HttpError::Unresolved(format!("{host}: {MAX_LOOKUPS} other names are looked up now")));
            }
            None => self.begin_look_up(key),
        };
        match found.wait_for(Option::is_some).await.map(|found| found.clone()) {
            Ok(Some(found)) => found,
            _ => Err(HttpError::Unresolved(format!("{host}: the look-up was given up"))),
        }
    }

    fn begin_look_up(&self, key: (String, u16)) -> watch::Receiver<Option<Found>> {
        let (tell, found) = watch::channel(None);
        self.lookups.borrow_mut().insert(key.clone(), found.clone());
        let (resolver, lookups) = (self.resolver.clone(), Rc::clone(&self.lookups));
        tokio::task::spawn_local(async move {
            let came = resolver.find(&key.0, key.1).await;
            lookups.borrow_mut().remove(&key);
            // Nobody may wait any more.
            let _ = tell.send(Some(came));
        });
        found
    }

    /// One address of a host as an upstream of its own, and the pool its connections are in.
    pub(super) fn at(&self, origin: &Origin, address: IpAddr) -> Result<(Arc<Upstream>, Rc<Pool<Full<Bytes>>>), HttpError> {
        let mut known = self.known.borrow_mut();
        let key = (origin.clone(), address);
        if let Some(upstream) = known.upstreams.get(&key) {
            return Ok((Arc::clone(upstream), Rc::clone(&known.pool)));
        }
        if known.upstreams.len() >= MAX_KNOWN {
            // The registry's numbers begin anew, so the pool does too; what is in flight keeps what it uses.
            *known = Known::default();
        }
        let upstream = known.registry.assemble(&upstream(origin, address)).map_err(|errors| {
            let why: Vec<_> = errors.into_iter().map(|error| error.problem).collect();
            HttpError::Tls(why.join("; "))
        })?;
        known.upstreams.insert(key, Arc::clone(&upstream));
        Ok((upstream, Rc::clone(&known.pool)))
    }

    /// Closes what was unused for too long.
    pub(super) fn reap(&self, now: Instant) {
        let pool = Rc::clone(&self.known.borrow().pool);
        pool.reap(now);
    }
}

fn upstream(origin: &Origin, address: IpAddr) -> model::Upstream {
    let endpoint = model::Endpoint { tls: origin.tls, host: address.to_string(), port: origin.port, weight: 1, labels: BTreeMap::new() };
    model::Upstream {
        // Profiles are remembered by it, and they are told apart by the name they verify.
        name: format!("{}:{}", origin.host, origin.port),
        endpoints: vec![endpoint],
        tls: TlsProfile { server_name: origin.tls.then(|| origin.host.clone()), ..TlsProfile::default() },
        tls_profiles: BTreeMap::new(),
        server_names: Vec::new(),
        protocol: Protocol::Http1,
        host: HostPolicy::Endpoint,
        connect_timeout: defaults::UPSTREAM_CONNECT,
        response_timeout: defaults::UPSTREAM_RESPONSE,
        stream_timeout: defaults::UPSTREAM_STREAM,
        idle_timeout: defaults::UPSTREAM_IDLE,
        max_idle_connections: defaults::UPSTREAM_MAX_IDLE_CONNECTIONS,
        max_connections: defaults::UPSTREAM_MAX_CONNECTIONS,
        max_attempts: 1,
        retry_on: RetryOn::NOTHING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(answers: &[&[&str]]) -> Hosts {
        let answers = answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect()).collect();
        Hosts::new(Resolver::Listed(Rc::new(RefCell::new(answers))))
    }

    fn addresses(hosts: &Hosts, granted: &[&str]) -> Result<Vec<IpAddr>, HttpError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        let granted: Vec<IpNet> = granted.iter().map(|network| network.parse().unwrap()).collect();
        runtime.block_on(hosts.addresses(&Origin { tls: true, host: "id.example".to_owned(), port: 443 }, &granted))
    }

    #[test]
    fn only_good_addresses_of_a_name_are_connected_to() {
        assert_eq!(addresses(&hosts(&[&["1.1.1.1", "10.0.0.1"]]), &[]).unwrap(), ["1.1.1.1".parse::<IpAddr>().unwrap()]);
        assert!(matches!(addresses(&hosts(&[&["10.0.0.1", "::1"]]), &[]), Err(HttpError::NotAllowed(_))));
        assert_eq!(addresses(&hosts(&[&["10.0.0.1"]]), &["10.0.0.0/8"]).unwrap().len(), 1);
        assert!(matches!(addresses(&hosts(&[&[]]), &[]), Err(HttpError::Unresolved(_))));
    }

    #[test]
    fn a_name_is_looked_up_once_for_all_who_ask_and_for_those_who_gave_up() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        let asked = Rc::new((std::cell::Cell::new(0), tokio::sync::Notify::new()));
        let hosts = Rc::new(Hosts::new(Resolver::Slow(Rc::clone(&asked))));
        let look_up = |host: String| {
            let hosts = Rc::clone(&hosts);
            async move { hosts.look_up(&host, 443).await }
        };
        runtime.block_on(async {
            let impatient = tokio::time::timeout(std::time::Duration::from_millis(1), look_up("id.example".into())).await;
            assert!(impatient.is_err() && asked.0.get() == 1);
            let (first, second) = (look_up("id.example".into()), look_up("id.example".into()));
            let answer = async {
                tokio::task::yield_now().await;
                assert_eq!(asked.0.get(), 1);
                asked.1.notify_waiters();
            };
            let (first, second, ()) = tokio::join!(first, second, answer);
            assert!(first.is_ok() && first == second && hosts.lookups.borrow().is_empty());
            // As many names as there may be, and one more.
            for number in 0..MAX_LOOKUPS {
                drop(hosts.begin_look_up((number.to_string(), 443)));
            }
            assert!(matches!(look_up("id.example".into()).await, Err(HttpError::Unresolved(why)) if why.contains("256")));
            asked.1.notify_waiters();
        });
    }

    #[test]
    fn a_name_that_changes_its_address_is_judged_anew_and_what_was_judged_is_what_is_connected_to() {
        let hosts = hosts(&[&["1.1.1.1"], &["127.0.0.1"]]);
        let origin = Origin { tls: true, host: "id.example".to_owned(), port: 443 };
        let good = addresses(&hosts, &[]).unwrap();
        // Its endpoint is the address, so that nothing looks the name up again; what is verified is the name.
        let model = upstream(&origin, good[0]);
        assert_eq!((model.endpoints[0].host.as_str(), model.tls.server_name.as_deref()), ("1.1.1.1", Some("id.example")));
        assert!(matches!(addresses(&hosts, &[]), Err(HttpError::NotAllowed(_))));
    }
}
