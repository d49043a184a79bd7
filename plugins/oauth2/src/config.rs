//! The configuration as written, and its check.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use plugway_sdk::metrics::Counter;
use plugway_sdk::{granted, one_or_many};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::OAuth2;
use crate::algorithm::{self, Algorithm};
use crate::anonymous::{Anonymous, AnonymousConfig};
use crate::challenge::Challenge;
use crate::claims::Rules;
use crate::client::ClientConfig;
use crate::dpop::{Dpop, DpopConfig};
use crate::granted_hosts;
use crate::introspection::IntrospectionConfig;
use crate::issuer::{Issuer, Issuers, Keys};
use crate::keys::KeySet;
use crate::login::{Login, LoginConfig};
use crate::metadata::{Facts, Metadata, ResourceConfig};
use crate::passed_on::ClaimHeaders;
use crate::published::Published;
use crate::remembered::Remembered;
use crate::requirement::{Requirement, RequirementConfig};
use crate::server::{Location, Server};
use crate::upstream_token::{UpstreamToken, UpstreamTokenConfig};
use crate::url::Url;

/// Longest token, bytes, where the configuration says nothing: what most servers take as one header line.
const DEFAULT_TOKEN_BYTES: usize = 8 * 1024;
/// The most `max_token_bytes` can be.
const MOST_TOKEN_BYTES: usize = 64 * 1024;
/// Clocks that are kept by NTP differ by less.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
/// A clock that is off by more is broken, and every second of it is a second more for a revoked token.
const MOST_LEEWAY: Duration = Duration::from_secs(300);
/// The most `max_lifetime` can be: a year, and a day.
const MOST_LIFETIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Issuers of one place.
const MOST_ISSUERS: usize = 32;

/// `config = { … }`, the plugin's own merged with the route's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    issuer: String,
    audience: Texts,
    jwks: Value,
    client: Option<ClientConfig>,
    introspection: Option<IntrospectionConfig>,
    issuers: Vec<IssuerConfig>,
    scopes: Vec<String>,
    require: Vec<RequirementConfig>,
    algorithms: Option<Vec<Algorithm>>,
    leeway: Option<String>,
    max_lifetime: Option<String>,
    realm: Option<String>,
    optional: bool,
    anonymous: Option<AnonymousConfig>,
    max_token_bytes: Option<usize>,
    forward_token: bool,
    upstream_token: Option<UpstreamTokenConfig>,
    login: Option<LoginConfig>,
    require_at_jwt: bool,
    require_rfc9068: bool,
    require_certificate: bool,
    dpop: Option<DpopConfig>,
    resource: Option<ResourceConfig>,
    claims: Vec<String>,
    claims_as_headers: BTreeMap<String, String>,
}

/// One of `issuers`. What it leaves out is as above it, but for what belongs to one issuer.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct IssuerConfig {
    issuer: String,
    audience: Texts,
    jwks: Value,
    client: Option<ClientConfig>,
    introspection: Option<IntrospectionConfig>,
    algorithms: Option<Vec<Algorithm>>,
    require_at_jwt: Option<bool>,
    require_rfc9068: Option<bool>,
}

/// One text or several.
#[derive(Debug, Default, Clone)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer, "a text or a list of texts").map(Self)
    }
}

impl Config {
    /// Checks every key. The error is for the operator.
    pub(crate) fn check(mut self) -> Result<OAuth2, String> {
        let client = self.client.clone();
        let issuers = self.issuers()?;
        let login = self.login(&issuers, client.clone())?;
        let upstream_token = self.upstream_token(&issuers, client)?;
        if let Some(scope) = self.scopes.iter().find(|scope| !is_scope_token(scope)) {
            return Err(format!("`scopes`: {scope:?} is not one scope (RFC 6749, section 3.3); write a list"));
        }
        let max_token_bytes = self.max_token_bytes.unwrap_or(DEFAULT_TOKEN_BYTES);
        if !(1..=MOST_TOKEN_BYTES).contains(&max_token_bytes) {
            return Err(format!("`max_token_bytes` is {max_token_bytes}: write 1 to {MOST_TOKEN_BYTES}"));
        }
        let leeway = self.leeway.as_deref().map_or(Ok(DEFAULT_LEEWAY), |text| span("leeway", text, MOST_LEEWAY))?;
        let max_lifetime = self.max_lifetime.as_deref().map(|text| span("max_lifetime", text, MOST_LIFETIME)).transpose()?;
        if max_lifetime == Some(Duration::ZERO) {
            return Err("`max_lifetime` is 0: no token would ever pass".to_owned());
        }
        let required = self.requirements()?;
        let anonymous = self.anonymous(&required)?;
        let dpop =
            self.dpop.take().map(|config| config.check(&self.accepted(), leeway)).transpose().map_err(|why| format!("`dpop`: {why}"))?;
        let metadata = self.metadata(&issuers, dpop.as_ref())?;
        let challenge = self.challenge(&issuers, dpop.as_ref(), metadata.as_ref())?;
        let headers = ClaimHeaders::new(self.claims_as_headers).map_err(|why| format!("`claims_as_headers`: {why}"))?;
        let checks = Counter::declare("token_checks_total", "Bearer tokens checked, signature and all.", "1", ["result"])
            .map_err(|error| format!("the counter of checked tokens: {error}"))?;
        Ok(OAuth2 {
            issuers,
            rules: Rules { scopes: self.scopes, required, leeway, max_lifetime },
            challenge,
            optional: self.optional,
            anonymous,
            max_token_bytes,
            forward_token: self.forward_token,
            upstream_token,
            login,
            require_certificate: self.require_certificate,
            dpop,
            metadata,
            claims: self.claims,
            headers,
            remembered: Remembered::new(),
            checks,
        })
    }

    fn accepted(&self) -> Vec<Algorithm> {
        self.algorithms.clone().unwrap_or_else(|| algorithm::DEFAULT.to_vec())
    }

    fn issuers(&mut self) -> Result<Issuers, String> {
        let several = std::mem::take(&mut self.issuers);
        if several.is_empty() {
            let own = IssuerConfig {
                issuer: std::mem::take(&mut self.issuer),
                audience: Texts::default(),
                jwks: std::mem::take(&mut self.jwks),
                client: self.client.take(),
                introspection: self.introspection.take(),
                algorithms: None,
                require_at_jwt: None,
                require_rfc9068: None,
            };
            return Ok(Issuers::new(vec![self.read_issuer(own)?]));
        }
        if !self.issuer.is_empty() || !self.jwks.is_null() || self.client.is_some() || self.introspection.is_some() {
            return Err("`issuers`, and beside it `issuer`, `jwks`, `client` or `introspection`: write all of them in `issuers`".to_owned());
        }
        if several.len() > MOST_ISSUERS {
            return Err(format!("`issuers`: {} are more than {MOST_ISSUERS}", several.len()));
        }
        let mut issuers: Vec<Issuer> = Vec::with_capacity(several.len());
        for (place, config) in several.into_iter().enumerate() {
            let issuer = self.read_issuer(config).map_err(|why| format!("`issuers[{place}]`: {why}"))?;
            if issuers.iter().any(|earlier| earlier.name == issuer.name) {
                return Err(format!("`issuers[{place}]`: {:?} is there twice", issuer.name));
            }
            if issuer.introspection.is_some() && issuers.iter().any(|earlier| earlier.introspection.is_some()) {
                return Err(format!(
                    "`issuers[{place}]`: a token that is no JWT does not say who issued it, so one issuer alone has `introspection`"
                ));
            }
            issuers.push(issuer);
        }
        Ok(Issuers::new(issuers))
    }

    fn read_issuer(&self, config: IssuerConfig) -> Result<Issuer, String> {
        if config.issuer.is_empty() {
            return Err("`issuer` is missing: write the `iss` of your tokens, such as \"https://id.example.com\"".to_owned());
        }
        if config.issuer.starts_with("urn:plugway:") {
            return Err(format!(
                "`issuer` = {:?}: these names are the gateway's own; its plugins vouch for others than tokens by them",
                config.issuer
            ));
        }
        // Names that are no URLs are names; over http anybody on the way can put his keys in the place of the issuer's.
        let is_url = ["http://", "https://"]
            .iter()
            .any(|scheme| config.issuer.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        if is_url && !Url::parse(&config.issuer).is_some_and(|url| url.is_safe()) {
            return Err(format!("`issuer` = {:?}: an issuer is reached over https; http is for this machine alone", config.issuer));
        }
        let audiences = if config.audience.0.is_empty() { self.audience.0.clone() } else { config.audience.0 };
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err("`audience` is missing: write the `aud` that tokens for this API have, or a list of them".to_owned());
        }
        let algorithms = config.algorithms.unwrap_or_else(|| self.accepted());
        if algorithms.is_empty() {
            return Err("`algorithms` is empty: name at least one, or leave it out".to_owned());
        }
        let client = config.client.map(ClientConfig::check).transpose().map_err(|why| format!("`client`: {why}"))?.map(Rc::new);
        if client.is_some() && config.introspection.is_none() && self.upstream_token.is_none() && self.login.is_none() {
            return Err("`client` is for `introspection`, `upstream_token` and `login`, and none of them is here".to_owned());
        }
        // Where opaque tokens alone come nobody asks the issuer for keys.
        let needs_server = !config.introspection.as_ref().is_some_and(IntrospectionConfig::has_url);
        let introspection = config.introspection.map(|written| written.check(&config.issuer, client)).transpose();
        let require_rfc9068 = config.require_rfc9068.unwrap_or(self.require_rfc9068);
        Ok(Issuer {
            keys: keys(&config.issuer, &config.jwks, &algorithms, needs_server)?,
            introspection: introspection.map_err(|why| format!("`introspection`: {why}"))?,
            name: config.issuer,
            audiences,
            algorithms,
            require_at_jwt: config.require_at_jwt.unwrap_or(self.require_at_jwt) || require_rfc9068,
            require_rfc9068,
        })
    }

    fn login(&mut self, issuers: &Issuers, client: Option<ClientConfig>) -> Result<Option<Login>, String> {
        let Some(config) = self.login.take() else { return Ok(None) };
        if self.optional || self.anonymous.is_some() {
            return Err(
                "`login`, and `optional` or `anonymous`: who is not logged in is sent to log in, or passes; write one of them".to_owned()
            );
        }
        if self.require_certificate || self.dpop.is_some() {
            return Err(
                "`login`, and `dpop` or `require_certificate`: a browser has no key to prove; write a place of its own for it".to_owned()
            );
        }
        let issuer = issuers.only().ok_or("`login`: there are several issuers; write a place with one")?;
        config.check(&issuer.name, client).map(Some).map_err(|why| format!("`login`: {why}"))
    }

    fn upstream_token(&mut self, issuers: &Issuers, client: Option<ClientConfig>) -> Result<Option<UpstreamToken>, String> {
        let Some(config) = self.upstream_token.take() else { return Ok(None) };
        if self.forward_token {
            return Err("`upstream_token` and `forward_token`: the upstream gets one token; write one of them".to_owned());
        }
        let mut names = issuers.names();
        let only = names.next().filter(|_| names.next().is_none());
        config.check(only, client).map(Some).map_err(|why| format!("`upstream_token`: {why}"))
    }

    fn requirements(&mut self) -> Result<Vec<Requirement>, String> {
        let rules = std::mem::take(&mut self.require).into_iter().enumerate();
        rules.map(|(place, rule)| rule.check().map_err(|why| format!("`require[{place}]`: {why}"))).collect()
    }

    fn anonymous(&mut self, required: &[Requirement]) -> Result<Option<Anonymous>, String> {
        let Some(config) = self.anonymous.take() else { return Ok(None) };
        if self.optional {
            return Err(
                "`anonymous` and `optional`: a request without a token passes here, or the next authorizer is asked; write one of them"
                    .to_owned(),
            );
        }
        if let Some(scope) = config.scopes.iter().find(|scope| !is_scope_token(scope)) {
            return Err(format!("`anonymous.scopes`: {scope:?} is not one scope; write a list"));
        }
        // Nobody has no claims, so he meets no rule about them.
        Ok(if required.is_empty() { Anonymous::new(config, &self.scopes) } else { None })
    }

    fn metadata(&mut self, issuers: &Issuers, dpop: Option<&Dpop>) -> Result<Option<Metadata>, String> {
        let Some(config) = self.resource.take() else { return Ok(None) };
        let facts = Facts {
            issuers: issuers.names().collect(),
            proofs: dpop.map(|dpop| dpop.algorithms().collect()),
            proofs_required: dpop.is_some_and(|dpop| dpop.required),
            certificates_required: self.require_certificate,
        };
        Metadata::new(config, &facts).map(Some).map_err(|why| format!("`resource`: {why}"))
    }

    fn challenge(&self, issuers: &Issuers, dpop: Option<&Dpop>, metadata: Option<&Metadata>) -> Result<Challenge, String> {
        let first = issuers.audiences().next().unwrap_or_default();
        let challenge = Challenge::new(self.realm.as_deref().unwrap_or(first), &self.scopes)
            .map_err(|why| format!("`realm`: {why}; without `realm` it is the first `audience`"))?;
        let challenge = match dpop {
            Some(dpop) => challenge.with_proofs(&dpop.algorithms().collect::<Vec<_>>(), dpop.required),
            None => challenge,
        };
        Ok(match metadata {
            Some(metadata) => challenge.with_metadata(&metadata.url),
            None => challenge,
        })
    }
}

/// The key set itself, `{ url = "…" }`, or nothing: then the issuer's server says where it is.
///
/// Whether a server that is found by the issuer's name is in the grant is told only where it is needed.
fn keys(issuer: &str, jwks: &Value, accepted: &[Algorithm], needs_server: bool) -> Result<Keys, String> {
    let url = jwks.as_object().filter(|members| members.len() == 1).and_then(|members| members.get("url"));
    if let Some(text) = jwks.as_str().filter(|text| !text.trim_start().starts_with('{')) {
        let help = "`{ file = \"jwks.json\" }` for a key set in a file, `{ url = \"https://…\" }` for one that is fetched";
        return Err(format!("`jwks` = {:?} is no key set: write {help}", text.chars().take(80).collect::<String>()));
    }
    if !jwks.is_null() && url.is_none() {
        return KeySet::read(jwks, accepted).map(Keys::Written).map_err(|why| format!("`jwks`: {why}"));
    }
    if url.is_some() && !granted::http_client() {
        return Err("`jwks`: the plugin may not fetch it: add `http-client = { hosts = [\"HOST\"] }` with its host to the plugin's grants"
            .to_owned());
    }
    if !granted::http_client() {
        return Err(
            "`jwks` is not here, and the plugin may not fetch it: write `jwks = { file = \"jwks.json\" }` with the issuer's key set, \
                    or add `http-client = { hosts = [\"HOST\"] }` with the issuer's host to the plugin's grants"
                .to_owned(),
        );
    }
    let location = match url {
        None => {
            let server = Server::of(issuer).map_err(|why| format!("`issuer`: {why}; write `jwks`"))?;
            if needs_server {
                granted_hosts::may_ask("issuer", issuer)?;
            }
            Location::Server(server)
        }
        Some(url) => match url.as_str().filter(|url| Url::parse(url).is_some_and(|url| url.is_safe())) {
            Some(url) => {
                granted_hosts::may_ask("jwks.url", url)?;
                Location::Url(url.to_owned())
            }
            None => return Err(format!("`jwks`: `url` = {url}: keys are fetched over https; http is for this machine alone")),
        },
    };
    Ok(Keys::Published(Published::new(issuer, location, accepted)))
}

/// Whole seconds, minutes or hours: `"0s"`, `"30s"`, `"5m"`, `"8h"`.
pub(crate) fn span(key: &str, text: &str, most: Duration) -> Result<Duration, String> {
    let refused = || {
        let most = match most.as_secs() {
            seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
            seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
            seconds => format!("{seconds}s"),
        };
        format!("`{key}` = {text:?}: write \"0s\" to \"{most}\", in whole seconds (`s`), minutes (`m`) or hours (`h`)")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(refused)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return Err(refused()),
    };
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).map(Duration::from_secs);
    total.filter(|total| *total <= most).ok_or_else(refused)
}

/// `scope-token` (RFC 6749, section 3.3), which is also what fits between quotes in a challenge.
fn is_scope_token(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}
