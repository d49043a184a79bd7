//! `rate-limit`: lets so many requests of each client, caller, header value or route pass in a period and answers the others
//! with 429. The buckets are the gateway's, so a limit is exact over all workers; who a request counts for is decided here.

mod config;
mod fields;
mod key;
mod period;

use plugway_sdk::metrics::Counter;
use plugway_sdk::rate_limit::{Bucket, RateLimit};
use plugway_sdk::{Error, Flow, HeaderName, LocalResponse, Plugin, Request, RequestFilter, Status, header};

use config::Config;
use key::Key;

/// The problem's type (draft-ietf-httpapi-ratelimit-headers-11, section 5.1).
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// The limits of one place, checked.
#[derive(Debug)]
struct RateLimiter {
    limits: Vec<Limit>,
    /// Whether answers tell how the limits stand.
    headers: bool,
    fields: Fields,
    refused: Counter<1>,
    would_refuse: Counter<1>,
}

#[derive(Debug)]
struct Limit {
    name: String,
    key: Key,
    /// Its item of `RateLimit-Policy`.
    policy: String,
    buckets: RateLimit,
    /// It only counts.
    dry_run: bool,
}

/// Names of the fields, as numbers where the gateway gave some.
#[derive(Debug)]
struct Fields {
    limit: HeaderName<'static>,
    policy: HeaderName<'static>,
}

impl Plugin for RateLimiter {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(config.check()?)
    }
}

impl RequestFilter for RateLimiter {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let mut taken: Vec<(&Limit, Vec<u8>, Bucket)> = Vec::with_capacity(self.limits.len());
        for limit in &self.limits {
            let Some(key) = limit.key.read(request) else { continue };
            let bucket = limit.buckets.take(&key, 1)?;
            if !bucket.admitted && limit.dry_run {
                self.would_refuse.add(1.0, [&limit.name]);
                continue;
            }
            if !bucket.admitted {
                // A request that does not pass counts for none of the limits.
                for (earlier, key, _) in &taken {
                    earlier.buckets.give_back(key, 1)?;
                }
                return Ok(Flow::respond(self.refuse(limit, bucket)));
            }
            taken.push((limit, key, bucket));
        }
        // Clients need not know of limits that do not hold.
        taken.retain(|(limit, ..)| !limit.dry_run);
        if self.headers && !taken.is_empty() {
            let policies = fields::list(taken.iter().map(|(limit, ..)| limit.policy.as_str().into()));
            let limits = fields::list(taken.iter().map(|(limit, _, bucket)| fields::limit(&limit.name, *bucket).into()));
            request.append_response_header(self.fields.policy.clone(), policies)?;
            request.append_response_header(self.fields.limit.clone(), limits)?;
        }
        Ok(Flow::Next)
    }
}

impl RateLimiter {
    fn refuse(&self, limit: &Limit, bucket: Bucket) -> LocalResponse {
        self.refused.add(1.0, [&limit.name]);
        let problem = LocalResponse::problem(Status::TOO_MANY_REQUESTS, "The request exceeds a quota")
            .with_type(QUOTA_EXCEEDED)
            .with_member("violated-policies", vec![limit.name.as_str()])
            .with_header(header::RETRY_AFTER, fields::seconds(bucket.wait).to_string());
        if !self.headers {
            return problem.into();
        }
        let problem = problem.with_header(self.fields.policy.clone(), &limit.policy);
        problem.with_header(self.fields.limit.clone(), fields::limit(&limit.name, bucket)).into()
    }
}

plugway_sdk::export!(RateLimiter: RequestFilter);

#[cfg(test)]
mod tests;
