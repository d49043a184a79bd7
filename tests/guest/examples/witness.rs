//! Tells what each of its hooks was told, in headers, attributes and the log, and tries what it is asked to by `x-ask`.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use plugway_sdk::header::{self, HeaderLine, HeaderName, NumberedLine};
use plugway_sdk::{
    Attempt, AuthError, Authorizer, ChangeError, Decision, Endpoint, EndpointId, Error, ExchangeRecord, Flow, LocalResponse, Observer,
    Plugin, Request, RequestFilter, Response, ResponseFilter, ResponseOrigin, RouteError, Router, Value, endpoints, log,
};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    name: String,
    /// Plugins whose attributes it tells.
    reads: Vec<String>,
    /// Names it tries to change.
    headers: Vec<String>,
}

struct Witness {
    config: Config,
    endpoints: RefCell<Vec<Endpoint>>,
    version: u64,
}

/// Configurations of this instance so far.
static CONFIGURED: AtomicU32 = AtomicU32::new(0);

const ATTRIBUTES: [&str; 8] = ["text", "least", "most", "tenth", "minus-zero", "yes", "bytes", "empty"];

fn said(outcome: Result<(), ChangeError>) -> &'static str {
    match outcome {
        Ok(()) => "ok",
        Err(ChangeError::Forbidden) => "forbidden",
        Err(ChangeError::Immutable) => "immutable",
        Err(ChangeError::Invalid(_)) => "invalid",
        Err(ChangeError::TooLarge) => "too-large",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("text:{text}"),
        Value::Integer(integer) => format!("integer:{integer}"),
        Value::Number(number) => format!("number:{:016x}", number.to_bits()),
        Value::Boolean(boolean) => format!("boolean:{boolean}"),
        Value::Bytes(bytes) => format!("bytes:{}", hex(bytes)),
    }
}

fn values(values: &[Vec<u8>]) -> String {
    values.iter().map(|value| hex(value)).collect::<Vec<_>>().join(",")
}

fn lines(lines: &[HeaderLine]) -> String {
    let of_them = lines.iter().filter(|line| ["x-many", "x-other"].contains(&&*line.name));
    of_them.map(|line| format!("{}={}", line.name, hex(&line.value))).collect::<Vec<_>>().join(",")
}

/// What is forbidden of those names, and what the SDK says otherwise of. `try_it` writes only where the SDK says it is no use.
fn reserved(
    names: &[String],
    says: fn(&str) -> bool,
    mut try_it: impl FnMut(HeaderName, bool) -> Vec<Result<(), ChangeError>>,
) -> [String; 2] {
    let (mut forbidden, mut unlike) = (Vec::new(), Vec::new());
    for name in names {
        let upper = name.to_ascii_uppercase();
        let number = HeaderName::numbered(name).unwrap_or(HeaderName::Known(u16::MAX));
        let said = says(name);
        for form in [HeaderName::Text(name), HeaderName::Text(&upper), number] {
            let outcomes = try_it(form, said);
            if outcomes.iter().any(|outcome| (*outcome == Err(ChangeError::Forbidden)) != said) || says(&upper) != said {
                unlike.push(name.as_str());
            }
        }
        if said {
            forbidden.push(name.as_str());
        }
    }
    [forbidden.join(","), unlike.join(",")]
}

impl Witness {
    fn leave_attributes(&self, request: &Request) -> Result<(), Error> {
        let values: [Value; 8] = [
            self.config.name.as_str().into(),
            i64::MIN.into(),
            i64::MAX.into(),
            0.1.into(),
            (-0.0).into(),
            true.into(),
            vec![0, 0xff, b'a'].into(),
            Vec::new().into(),
        ];
        for (name, value) in ATTRIBUTES.into_iter().zip(values) {
            request.set_attribute(name, value)?;
        }
        // Whatever a name looks like, it is one of its own.
        for name in ["first.text", "first/text", "first\0text"] {
            request.set_attribute(name, "stolen")?;
        }
        Ok(())
    }
}

impl Plugin for Witness {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        CONFIGURED.fetch_add(1, Relaxed);
        Ok(Self { config, endpoints: RefCell::default(), version: 0 })
    }
}

impl Authorizer for Witness {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        if request.header_str("x-ask").as_deref() == Some("authorize") {
            let tried = [said(request.set_method("DELETE")), said(request.set_path("/stolen")), said(request.set_query(Some("stolen")))];
            request.set_header("x-authorizer", tried.join(","))?;
        }
        Ok(Decision::Abstain)
    }
}

impl RequestFilter for Witness {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        request.set_header("x-name", &self.config.name)?;
        request.set_header("x-configured", CONFIGURED.load(Relaxed).to_string())?;
        for plugin in &self.config.reads {
            for name in ATTRIBUTES.into_iter().chain(["first.text"]) {
                let value = request.attribute(plugin, name).as_ref().map_or("none".to_owned(), shown);
                request.set_header(&*format!("x-read-{plugin}-{name}"), value)?;
            }
        }
        let asked = request.header_str("x-ask").unwrap_or_default();
        let (what, word) = asked.split_once(' ').unwrap_or((&asked, ""));
        match what {
            "respond" => return Ok(Flow::respond(LocalResponse::new(201))),
            "next-with" => return Ok(request.next_with(&NumberedLine::new(word, "left")?)?),
            "attributes" if self.config.reads.is_empty() => self.leave_attributes(request)?,
            "set-method" => {
                let outcome = said(request.set_method(word));
                request.set_header("x-said", outcome)?;
                request.set_header("x-method", request.method())?;
            }
            "values" => {
                let told = [values(&request.header_values("X-Many")), values(&request.header_values("x-none")), lines(&request.headers())];
                for (name, value) in ["x-values", "x-no-values", "x-lines"].into_iter().zip(told) {
                    request.set_header(name, value)?;
                }
                let only = ["X-Many", "x-none", "X-Other"].map(|name| match request.only_header(name) {
                    Ok(value) => value.map_or_else(|| "none".to_owned(), |value| values(&[value])),
                    Err(error) => error.to_string(),
                });
                request.set_header("x-only", only.join("; "))?;
                request.set_header("x-line", "another")?;
                request.set_line(&NumberedLine::new("X-Line", [0xe9])?)?;
            }
            "reserved" => {
                let [forbidden, unlike] = reserved(&self.config.headers, header::is_reserved, |name, no_use| {
                    let mut outcomes = vec![request.remove_header(name.clone())];
                    if no_use {
                        let line = NumberedLine::new(name.clone(), "stolen");
                        outcomes.push(line.and_then(|line| request.set_line(&line)));
                        outcomes.extend([request.set_header(name.clone(), "stolen"), request.append_header(name, "stolen")]);
                    }
                    outcomes
                });
                let [left, unlike_left] = reserved(&self.config.headers, header::is_reserved_in_response, |name, no_use| {
                    if no_use { vec![request.append_response_header(name, "stolen")] } else { Vec::new() }
                });
                let told = [("forbidden", forbidden), ("unlike", unlike), ("left", left), ("unlike-left", unlike_left)];
                for (name, value) in told {
                    request.set_header(&*format!("x-{name}"), value)?;
                }
            }
            _ => {}
        }
        Ok(Flow::Next)
    }
}

impl Router for Witness {
    fn on_endpoints(&mut self, version: u64, endpoints: Vec<Endpoint>) -> Result<(), Error> {
        self.endpoints.replace(endpoints);
        self.version = version;
        Ok(())
    }

    fn route(&self, request: &Request, attempt: &Attempt) -> Result<EndpointId, RouteError> {
        let (members, tried) = (self.endpoints.borrow(), attempt.tried());
        let url = |id: EndpointId| members.iter().find(|member| member.id == id).map_or("none", |member| member.url.as_str());
        let last = attempt.last_outcome().map_or("none".to_owned(), |outcome| {
            let status = outcome.status.map_or("none".to_owned(), |status| status.to_string());
            format!("{},{status},{}", url(outcome.endpoint), outcome.fault.as_deref().unwrap_or("none"))
        });
        let number = attempt.number();
        let before = tried.iter().map(|id| url(*id)).collect::<Vec<_>>().join(",");
        request.set_attribute(&format!("attempt-{number}"), format!("{number} tried={before} last={last}"))?;
        let picked = members.iter().find(|member| !tried.contains(&member.id)).or(members.first()).ok_or(RouteError::NoEndpoint)?;
        request.set_attribute("version", self.version.to_string())?;
        request.set_attribute("latency", endpoints::latency(picked.id).as_micros().to_string())?;
        Ok(picked.id)
    }
}

impl ResponseFilter for Witness {
    fn on_response(&self, request: &Request, response: &mut Response) -> Result<Flow, Error> {
        let origin = match response.origin() {
            ResponseOrigin::Upstream(_) => "upstream".to_owned(),
            ResponseOrigin::Gateway(fault) => format!("gateway {fault}"),
            ResponseOrigin::Plugin(name) => format!("plugin {name}"),
        };
        response.set_header("x-origin", origin)?;
        for name in ["attempt-1", "attempt-2", "attempt-3", "latency", "version"] {
            if let Some(Value::Text(text)) = request.own_attribute(name) {
                response.set_header(&*format!("x-{name}"), text)?;
            }
        }
        match request.header_str("x-ask").as_deref() {
            Some(asked) if asked.starts_with("next-with ") => {
                let (_, name) = asked.split_once(' ').unwrap_or_default();
                return Ok(response.next_with(&NumberedLine::new(name, "left")?)?);
            }
            Some("values") => {
                let told =
                    [values(&response.header_values("X-Many")), values(&response.header_values("x-none")), lines(&response.headers())];
                for (name, value) in ["x-values", "x-no-values", "x-lines"].into_iter().zip(told) {
                    response.set_header(name, value)?;
                }
                response.set_header("x-line", "another")?;
                response.set_line(&NumberedLine::new("X-Line", [0xe9])?)?;
            }
            Some("reserved") => {
                let [forbidden, unlike] = reserved(&self.config.headers, header::is_reserved_in_response, |name, no_use| {
                    let mut outcomes = vec![response.remove_header(name.clone())];
                    if no_use {
                        let line = NumberedLine::new(name.clone(), "stolen");
                        outcomes.push(line.and_then(|line| response.set_line(&line)));
                        outcomes.extend([response.set_header(name.clone(), "stolen"), response.append_header(name, "stolen")]);
                    }
                    outcomes
                });
                response.set_header("x-forbidden", forbidden)?;
                response.set_header("x-unlike", unlike)?;
            }
            _ => {}
        }
        Ok(Flow::Next)
    }
}

impl Observer for Witness {
    fn on_complete(&self, records: &[ExchangeRecord]) -> Result<(), Error> {
        let text = |text: &Option<String>| text.clone().unwrap_or("none".to_owned());
        for record in records {
            let attributes: Vec<String> = record.attributes.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
            log::info!(
                "ended id={} trace={} received={} took={} method={} host={} route={} api={} version={} status={} fault={} blame={} \
                 consumer={} client={} endpoint={} attempts={} upstream={} in={} out={} protocol={} extra={} observer={}",
                record.id,
                record.trace_id,
                record.received_at,
                record.duration_us,
                record.method,
                record.host,
                record.route,
                text(&record.api),
                text(&record.api_version),
                record.status,
                text(&record.fault),
                text(&record.blame),
                text(&record.consumer),
                record.client_address,
                text(&record.endpoint),
                record.attempts,
                record.upstream_us.map_or("none".to_owned(), |time| time.to_string()),
                record.request_bytes,
                record.response_bytes,
                record.protocol,
                record.extra.len(),
                self.config.name,
            );
            log::info!("left by {}: {}", record.id, attributes.join(" "));
        }
        Ok(())
    }
}

plugway_sdk::export!(Witness: Authorizer, RequestFilter, Router, ResponseFilter, Observer);
