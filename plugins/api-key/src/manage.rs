//! `manage`: makes, lists and revokes keys in `kv` by requests. A key is made here, shown once and never again; or it was made elsewhere, and
//! only its digest comes.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use plugway_sdk::{Error, Identity, LocalResponse, Request, Status, clock, header, log, random};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::consumers::{Consumer, Consumers, MOST_KEYS};
use crate::digest::{Digest, hexadecimal};
use crate::issued::{self, Issued, Refused};

/// Random bytes of a key.
const KEY_BYTES: u32 = 24;
/// Consumers on one page of the list.
const PAGE: usize = 100;
/// What `kv` keeps something for at most.
const LONGEST_DAYS: u64 = 365;

/// Names of parameters.
pub(crate) const PARAMETERS: [&str; 5] = ["after", "consumer", "digest", "lifetime", "number"];

/// `manage = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManageConfig {
    path: String,
    scope: String,
}

/// Where, and who may.
#[derive(Debug)]
pub(crate) struct Manage {
    path: String,
    scope: String,
}

impl Manage {
    pub(crate) fn new(config: ManageConfig) -> Result<Self, String> {
        let ManageConfig { path, scope } = config;
        // As the gateway has paths: one in another form would be nobody's.
        let stands = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&byte);
        let is_dots = path.split('/').any(|segment| segment == "." || segment == "..");
        if !path.starts_with('/') || path.contains("//") || is_dots || !path.bytes().all(stands) {
            return Err(format!("`path` = {path:?}: write a path of this gateway, such as \"/-/keys\""));
        }
        if scope.is_empty() || !scope.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("`scope` = {scope:?}: write the scope that whoever manages keys has, such as \"keys:manage\""));
        }
        Ok(Self { path, scope })
    }

    /// The answer, where the request asks for this.
    pub(crate) fn answer(&self, request: &Request<'_>, consumers: &Consumers) -> Result<Option<LocalResponse>, Error> {
        // By what it stands for, as the route has it: `%3A` is `:`.
        if !percent_decode_str(&request.path()).eq(self.path.bytes()) {
            return Ok(None);
        }
        let caller = request.optional_identity();
        let Some(caller) = caller.filter(|caller| caller.scopes().contains(&self.scope)) else {
            let detail = format!("This needs the scope {}.", self.scope);
            return Ok(Some(problem(Status::FORBIDDEN, "Keys are managed by others.", &detail)));
        };
        // Browsers say where a page comes from, and what a page makes one send with its cookies is not what its user asked for.
        if request.header(header::ORIGIN).is_some() {
            return Ok(Some(problem(Status::FORBIDDEN, "Not for web pages.", "The request has an Origin header.")));
        }
        let now = clock::now();
        let answer = match request.method().as_str() {
            "GET" | "HEAD" => show(request, consumers, now),
            "POST" => add(request, consumers, &caller, now),
            "DELETE" => revoke(request, consumers, &caller, now),
            _ => {
                let only = "GET, POST and DELETE are understood.";
                return Ok(Some(
                    problem(Status::METHOD_NOT_ALLOWED, "This cannot be done.", only).with_header(header::ALLOW, "GET, HEAD, POST, DELETE"),
                ));
            }
        };
        Ok(Some(answer.unwrap_or_else(Wrong::answer)))
    }
}

/// Why something was not done.
enum Wrong {
    Parameter(String),
    NoConsumer,
    Configured,
    Refused(Refused),
}

impl From<Refused> for Wrong {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Wrong {
    fn answer(self) -> LocalResponse {
        let (status, detail) = match self {
            Self::Parameter(why) => (Status::BAD_REQUEST, why),
            Self::NoConsumer => (Status::NOT_FOUND, "No consumer has that name. Consumers are in the configuration.".to_owned()),
            Self::Configured => (Status::CONFLICT, "That key is in the configuration, and is changed there.".to_owned()),
            Self::Refused(Refused::NoSuchKey) => (Status::NOT_FOUND, "The consumer has no such key.".to_owned()),
            Self::Refused(Refused::Full) => (Status::CONFLICT, format!("The consumer has {MOST_KEYS} keys. Revoke one first.")),
            Self::Refused(Refused::Taken) => (Status::CONFLICT, "Another consumer has that key.".to_owned()),
            Self::Refused(Refused::Busy) => (Status::SERVICE_UNAVAILABLE, "Others change the same consumer. Try again.".to_owned()),
            Self::Refused(Refused::Kv(error)) => (Status::SERVICE_UNAVAILABLE, error.to_string()),
        };
        problem(status, "This was not done.", &detail)
    }
}

fn show(request: &Request<'_>, consumers: &Consumers, now: Duration) -> Result<LocalResponse, Wrong> {
    if let Some(name) = request.query_parameter("consumer") {
        let consumer = consumers.named(&name).ok_or(Wrong::NoConsumer)?;
        return Ok(private(LocalResponse::json(Status::OK, &described(consumers, consumer, now)?)));
    }
    let mut some = consumers.after(&request.query_parameter("after").unwrap_or_default());
    let page: Vec<&Consumer> = some.by_ref().take(PAGE).collect();
    let list = page.iter().map(|consumer| described(consumers, consumer, now)).collect::<Result<Vec<_>, _>>()?;
    let mut body = json!({ "consumers": list });
    if let (Some(last), Some(_)) = (page.last(), some.next()) {
        put(&mut body, "next", last.name.as_str());
    }
    Ok(private(LocalResponse::json(Status::OK, &body)))
}

fn described(consumers: &Consumers, consumer: &Consumer, now: Duration) -> Result<Value, Wrong> {
    let configured = consumers
        .keys_of(consumer)
        .map(|(number, digest)| json!({ "number": number, "digest": digest.to_string(), "in": "configuration", "valid": true }));
    let issued = issued::list(consumer, now).map_err(Refused::from)?;
    let issued = issued.iter().map(|(key, is_valid)| {
        let mut body = facts(key);
        put(&mut body, "in", "kv");
        put(&mut body, "valid", *is_valid);
        body
    });
    Ok(json!({ "name": consumer.name, "scopes": consumer.scopes, "keys": configured.chain(issued).collect::<Vec<_>>() }))
}

fn add(request: &Request<'_>, consumers: &Consumers, caller: &Identity, now: Duration) -> Result<LocalResponse, Wrong> {
    let consumer = named(request, consumers)?;
    let lifetime = request.query_parameter("lifetime").map(|text| days(&text)).transpose()?;
    let (key, digest) = match request.query_parameter("digest") {
        Some(text) => (None, read_digest(&text)?),
        None => {
            let key = format!("sk-{}", hexadecimal(&random::bytes(KEY_BYTES)));
            let digest = Digest::of(key.as_bytes()).map_err(|error| Wrong::Parameter(error.to_string()))?;
            (Some(key), digest)
        }
    };
    match consumers.find(&digest) {
        Some(known) if known.consumer.name == consumer.name => return Err(Wrong::Configured),
        Some(_) => return Err(Refused::Taken.into()),
        None => {}
    }
    let (issued, is_new) = issued::add(consumer, digest, lifetime, now)?;
    log::info!("key {} of {:?} was added by {:?}", issued.number, consumer.name, caller.subject());
    let mut body = facts(&issued);
    put(&mut body, "consumer", consumer.name.as_str());
    if let Some(key) = key {
        put(&mut body, "key", key);
    }
    Ok(private(LocalResponse::json(if is_new { Status::CREATED } else { Status::OK }, &body)))
}

fn revoke(request: &Request<'_>, consumers: &Consumers, caller: &Identity, now: Duration) -> Result<LocalResponse, Wrong> {
    let consumer = named(request, consumers)?;
    let gone = match (request.query_parameter("digest"), request.query_parameter("number")) {
        (Some(text), None) => {
            let digest = read_digest(&text)?;
            // One that is configured may have a copy in `kv`, which would be good again when the configuration has it no more.
            let is_configured = || consumers.find(&digest).is_some_and(|known| known.consumer.name == consumer.name);
            match issued::revoke(consumer, |key| key.digest == digest, now) {
                Err(Refused::NoSuchKey) if is_configured() => return Err(Wrong::Configured),
                revoked => revoked?,
            }
        }
        (None, Some(text)) => {
            let number = text.parse().map_err(|_| Wrong::Parameter("`number` is 1 or 2.".to_owned()))?;
            if (1..=consumer.configured()).contains(&number) {
                return Err(Wrong::Configured);
            }
            issued::revoke(consumer, |key| key.number == number, now)?
        }
        _ => return Err(Wrong::Parameter("Say which key: `number` or `digest`.".to_owned())),
    };
    for key in gone {
        log::info!("key {} of {:?} was revoked by {:?}", key.number, consumer.name, caller.subject());
    }
    Ok(private(LocalResponse::new(Status::NO_CONTENT)))
}

fn named<'a>(request: &Request<'_>, consumers: &'a Consumers) -> Result<&'a Consumer, Wrong> {
    let name = request.query_parameter("consumer").ok_or_else(|| Wrong::Parameter("Say whose key it is: `consumer`.".to_owned()))?;
    consumers.named(&name).ok_or(Wrong::NoConsumer)
}

fn read_digest(text: &str) -> Result<Digest, Wrong> {
    // Not what was written: somebody may have written the key itself.
    Digest::read(text).ok_or_else(|| Wrong::Parameter("`digest` is \"sha256:\" and 64 hexadecimal digits, and never the key.".to_owned()))
}

/// `90d`, `12h`, `30m`, `45s`.
fn days(text: &str) -> Result<Duration, Wrong> {
    let refused = || Wrong::Parameter(format!("`lifetime` is a whole number of s, m, h or d, such as 90d, up to {LONGEST_DAYS}d."));
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(refused)?;
    let one: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(refused()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(one));
    let seconds = seconds.filter(|seconds| (1..=LONGEST_DAYS * 24 * 60 * 60).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(refused)
}

/// What may be known of a key.
fn facts(key: &Issued) -> Value {
    json!({ "number": key.number, "digest": key.digest.to_string(), "made": key.made, "ends": key.ends })
}

fn put(body: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = body.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

fn problem(status: Status, title: &str, detail: &str) -> LocalResponse {
    private(LocalResponse::problem(status, title).with_detail(detail).into())
}

/// Nothing between here and who asked keeps it.
fn private(answer: LocalResponse) -> LocalResponse {
    answer.with_header(header::CACHE_CONTROL, "no-store")
}
