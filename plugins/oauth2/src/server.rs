//! What an authorization server says of itself (RFC 8414; OpenID Connect Discovery 1.0), and where its endpoints are.

mod location;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use plugway_sdk::log;
use serde_json::{Map, Value};

use crate::document::{Document, Trouble};
use crate::held::Held;
use crate::json;
use crate::url::Url;

pub(crate) use location::Location;

/// How long one counts that does not say so.
const FRESHNESS: Duration = Duration::from_secs(60 * 60);

thread_local! {
    /// One for each issuer, whichever places believe it.
    static SERVERS: RefCell<BTreeMap<String, Weak<Server>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The server of an issuer.
#[derive(Debug)]
pub(crate) struct Server {
    issuer: String,
    metadata: RefCell<Held<Endpoints>>,
}

/// Where its endpoints are. Each is reached over https, or on this machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    members: BTreeMap<&'static str, String>,
    /// For clients with certificates (RFC 8705, section 5).
    mutual: BTreeMap<&'static str, String>,
    /// Whether what it answers to browsers has `iss` (RFC 9207, section 3).
    names_itself: bool,
}

/// An endpoint by its name in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint(pub(crate) &'static str);

pub(crate) const KEYS: Endpoint = Endpoint("jwks_uri");
pub(crate) const INTROSPECTION: Endpoint = Endpoint("introspection_endpoint");
pub(crate) const TOKEN: Endpoint = Endpoint("token_endpoint");
pub(crate) const AUTHORIZATION: Endpoint = Endpoint("authorization_endpoint");
pub(crate) const END_SESSION: Endpoint = Endpoint("end_session_endpoint");
const ALL: [Endpoint; 5] = [KEYS, INTROSPECTION, TOKEN, AUTHORIZATION, END_SESSION];

impl Server {
    /// The one of this issuer, whose name is the URL it is found under.
    pub(crate) fn of(issuer: &str) -> Result<Rc<Self>, String> {
        if !Url::parse(issuer).is_some_and(|url| url.is_safe() && !url.has_query && !url.has_fragment) {
            return Err(format!("{issuer:?} is no https URL, so nothing can be found under it"));
        }
        Ok(shared(&SERVERS, issuer, || Self { issuer: issuer.to_owned(), metadata: RefCell::default() }))
    }

    /// Where an endpoint is; `with_certificate`: for a client that shows one.
    pub(crate) fn endpoint(&self, endpoint: Endpoint, with_certificate: bool, now: Duration) -> Result<String, Trouble> {
        let endpoints = self.endpoints(now)?;
        let missing = || Trouble::Rubbish(format!("its metadata has no `{}`", endpoint.0));
        endpoints.find(endpoint, with_certificate).map(str::to_owned).ok_or_else(missing)
    }

    /// Whether each of its authorization responses says that it is its own: then one that does not is somebody else's (RFC 9207, section 2.4).
    pub(crate) fn names_itself(&self, now: Duration) -> Result<bool, Trouble> {
        Ok(self.endpoints(now)?.names_itself)
    }

    fn endpoints(&self, now: Duration) -> Result<Rc<Endpoints>, Trouble> {
        let (is_due, most_age) = {
            let held = self.metadata.borrow();
            (held.is_due(now), held.most_age())
        };
        let mut why = Trouble::Away("it was away a moment ago".to_owned());
        if is_due {
            let fetched = self.fetch(most_age);
            let taken = self.metadata.borrow_mut().take(now, fetched, |body| Endpoints::read(body, &self.issuer));
            if let Err(trouble) = taken {
                log::warn!("the metadata of {}: {trouble}", self.issuer);
                why = trouble;
            }
        }
        self.metadata.borrow().value(now).ok_or(why)
    }

    /// By OpenID Connect, which most servers know, and else by RFC 8414: they differ in where the path of the issuer goes.
    fn fetch(&self, most_age: Duration) -> Result<Document, Trouble> {
        let issuer = self.issuer.trim_end_matches('/');
        match Document::fetch(&format!("{issuer}/.well-known/openid-configuration"), most_age, FRESHNESS) {
            Err(Trouble::Status(status)) if (400..500).contains(&status.0) => {}
            fetched => return fetched,
        }
        let url = Url::parse(issuer).ok_or_else(|| Trouble::Away("its name is no URL".to_owned()))?;
        let path = url.path.trim_end_matches('/');
        Document::fetch(&format!("{}/.well-known/oauth-authorization-server{path}", url.origin()), most_age, FRESHNESS)
    }
}

impl Endpoints {
    fn read(body: &[u8], issuer: &str) -> Result<Self, String> {
        let members = json::read_object(body).ok_or("no JSON object")?;
        // Whoever answers there in the name of another issuer must not be believed (RFC 8414, section 3.3).
        if members.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err("its `issuer` is another one".to_owned());
        }
        let mutual = members.get("mtls_endpoint_aliases").and_then(Value::as_object);
        let names_itself = members.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true));
        Ok(Self { members: urls(&members)?, mutual: mutual.map(urls).transpose()?.unwrap_or_default(), names_itself })
    }

    fn find(&self, endpoint: Endpoint, with_certificate: bool) -> Option<&str> {
        let mutual = if with_certificate { self.mutual.get(endpoint.0) } else { None };
        mutual.or_else(|| self.members.get(endpoint.0)).map(String::as_str)
    }
}

fn urls(members: &Map<String, Value>) -> Result<BTreeMap<&'static str, String>, String> {
    let mut urls = BTreeMap::new();
    for Endpoint(name) in ALL {
        let Some(value) = members.get(name) else { continue };
        // Keys and secrets go there: over http anybody on the way would have them.
        let url = value.as_str().filter(|url| Url::parse(url).is_some_and(|url| url.is_safe()));
        urls.insert(name, url.ok_or_else(|| format!("its `{name}` is no https URL"))?.to_owned());
    }
    Ok(urls)
}

/// What an instance has once for all its places: found by name, and gone with the last of them.
pub(crate) fn shared<T>(
    all: &'static std::thread::LocalKey<RefCell<BTreeMap<String, Weak<T>>>>,
    name: &str,
    make: impl FnOnce() -> T,
) -> Rc<T> {
    all.with_borrow_mut(|all| {
        if let Some(known) = all.get(name).and_then(Weak::upgrade) {
            return known;
        }
        all.retain(|_, kept| kept.strong_count() > 0);
        let new = Rc::new(make());
        all.insert(name.to_owned(), Rc::downgrade(&new));
        new
    })
}
