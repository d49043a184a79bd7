//! Answers kept for later, by the rules of HTTP (RFC 9111) as a private cache. Pure; time is injected.
//!
//! An answer is found again by URL and by every header of the request, compared byte for byte: what was fetched with one caller's
//! token is never given to another, whatever the server says of it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_cache_semantics::{AfterResponse, BeforeRequest, CacheOptions, CachePolicy};

use super::message::{AnswerSource, IncomingResponse};

/// Answers kept at once.
const MAX_ENTRIES: usize = 1024;
/// What one takes beside its bytes.
const OVERHEAD: usize = 1024;
/// How often a server is asked for one answer that is fresh here and would do if it had no age: so often in a row, and then once in so long. Whoever comes
/// more often has what is here.
const BURST_ANEW: u32 = 10;
const ANEW: Duration = Duration::from_millis(100);
/// The greatest age that is told, seconds; what is older counts as that old (RFC 9111, section 1.2.2).
const OLDEST: u64 = 1 << 31;

/// The answers of one plugin.
#[derive(Debug)]
pub(super) struct Cache {
    entries: HashMap<Vec<u8>, Entry>,
    bytes: usize,
    max_bytes: usize,
    /// Grows with each use.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    policy: CachePolicy,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    bytes: usize,
    used: u64,
    /// How long it was fresh, from when the server made it.
    lifetime: Duration,
    /// When it came, or was found to be the same still.
    came: SystemTime,
    /// Until when it was asked for anew as often as may be, and some: a bucket by the time that fills it (GCRA, ITU-T I.371).
    anew: SystemTime,
}

/// How a plugin wants its cache used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) max_age: Option<Duration>,
    /// An answer that came since then will do where none may have an age.
    pub(super) made: SystemTime,
    pub(super) default_freshness: Duration,
    pub(super) stale_if_error: Duration,
}

impl Use {
    /// Of a request that is made now: as long as it is fresh.
    pub(super) fn made_now() -> Self {
        Self { made: SystemTime::now(), ..Self::nothing() }
    }

    /// Not at all.
    pub(super) fn nothing() -> Self {
        Self { max_age: None, made: SystemTime::UNIX_EPOCH, default_freshness: Duration::ZERO, stale_if_error: Duration::ZERO }
    }
}

/// What a cache has for a request.
#[derive(Debug)]
pub(super) enum Look {
    /// An answer.
    Fresh(IncomingResponse),
    /// Nothing that may be given without asking; headers by which the server can say that it is the same still.
    Ask(HeaderMap),
}

impl Cache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { entries: HashMap::new(), bytes: 0, max_bytes, uses: 0 }
    }

    /// Room for so many bytes from now on.
    pub(super) fn resize(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
        self.evict();
    }

    #[cfg(test)]
    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a request may be answered from a cache, and its answer kept: not one whose sender validates for itself.
    pub(super) fn concerns(method: &Method, headers: &HeaderMap) -> bool {
        *method == Method::GET && !headers.contains_key(IF_NONE_MATCH) && !headers.contains_key(IF_MODIFIED_SINCE)
    }

    /// Looks for an answer.
    pub(super) fn look(&mut self, request: &Request<()>, wanted: Use, now: SystemTime) -> Look {
        self.uses += 1;
        let Some(entry) = self.entries.get_mut(&key(request)) else { return Look::Ask(HeaderMap::new()) };
        entry.used = self.uses;
        let mut asked = request.clone();
        // Where the clock was set back nobody knows how old it is.
        let wanted_age = match wanted.max_age {
            _ if now < entry.came => Some(Duration::ZERO),
            Some(Duration::ZERO) if entry.came >= wanted.made || !entry.may_be_asked_for_anew(now) => None,
            age => age,
        };
        if let Some(age) = wanted_age {
            // An answer of the same second has no age yet, and would do for `max-age=0`.
            let directive = if age.is_zero() { "no-cache".to_owned() } else { format!("max-age={}", age.as_secs()) };
            asked.headers_mut().extend(HeaderValue::try_from(directive).ok().map(|directive| (CACHE_CONTROL, directive)));
        }
        match entry.policy.before_request(&asked, now) {
            BeforeRequest::Fresh(_) => Look::Fresh(entry.answer(request, AnswerSource::Cache, now)),
            BeforeRequest::Stale { request, .. } => {
                let validators = [IF_NONE_MATCH, IF_MODIFIED_SINCE].into_iter();
                Look::Ask(validators.filter_map(|name| Some((name.clone(), request.headers.get(name)?.clone()))).collect())
            }
        }
    }

    /// The server answered 304 to a request with these validators. What the plugin gets where that is about what is here; none where that was taken
    /// away or replaced meanwhile, or where the 304 has the validator of another answer (RFC 9111, section 4.3.4).
    pub(super) fn validated(
        &mut self,
        request: &Request<()>,
        validators: &HeaderMap,
        not_modified: &Response<Bytes>,
        wanted: Use,
        now: SystemTime,
    ) -> Option<IncomingResponse> {
        let key = key(request);
        let entry = self.entries.get_mut(&key)?;
        let is_asked_for = [(IF_NONE_MATCH, ETAG), (IF_MODIFIED_SINCE, LAST_MODIFIED)]
            .into_iter()
            .all(|(condition, name)| validators.get(condition).is_none_or(|sent| entry.headers.get(name) == Some(sent)));
        if !is_asked_for {
            return None;
        }
        let (mut parts, _) = not_modified.clone().into_parts();
        limit_age(&mut parts.headers);
        // Without an age it is of now; that of the answer which it makes new is over (RFC 9111, section 4.2.3).
        parts.headers.entry(AGE).or_insert(HeaderValue::from_static("0"));
        add_validators(&mut parts.headers, &entry.headers);
        let said = Response::from_parts(parts, ());
        if !matches!(entry.policy.after_response(request, &said, now), AfterResponse::NotModified(..)) {
            return None;
        }
        let (mut renewed, ()) = Response::new(()).into_parts();
        renewed.status = entry.status;
        renewed.headers = updated(&entry.headers, said.headers());
        entry.policy = policy(request, &renewed, wanted, now);
        entry.lifetime = lifetime(&entry.policy, now);
        entry.came = now;
        let (before, after) = (size(&entry.headers), size(&renewed.headers));
        entry.headers = renewed.headers;
        entry.bytes = entry.bytes - before + after;
        self.bytes = self.bytes - before + after;
        let answer = entry.answer(request, AnswerSource::Validated, now);
        if entry.policy.is_storable() {
            self.evict();
        } else {
            self.forget(&key);
        }
        Some(answer)
    }

    /// The server answered. Keeps the answer where that may be, and gives what the plugin gets.
    pub(super) fn answered(&mut self, request: &Request<()>, response: Response<Bytes>, wanted: Use, now: SystemTime) -> IncomingResponse {
        let key = key(request);
        let (mut parts, body) = response.into_parts();
        limit_age(&mut parts.headers);
        let policy = policy(request, &parts, wanted, now);
        // A 5xx that the server wants kept would hide the answer that is better; one that varies by everything is found again by nothing.
        if policy.is_storable() && !parts.status.is_server_error() && !varies_by_everything(&parts.headers) {
            let bytes = key.len() + body.len() + size(&parts.headers) + OVERHEAD;
            let headers = parts.headers.clone();
            self.uses += 1;
            let lifetime = lifetime(&policy, now);
            let anew = self.entries.get(&key).map_or(now, |old| old.anew);
            let entry =
                Entry { policy, status: parts.status, headers, body: body.clone(), bytes, used: self.uses, lifetime, came: now, anew };
            let answer = entry.answer(request, AnswerSource::Server, now);
            self.forget(&key);
            if bytes <= self.max_bytes {
                self.bytes += bytes;
                self.entries.insert(key, entry);
                self.evict();
                return answer;
            }
            return IncomingResponse { fresh_for: Duration::ZERO, ..answer };
        }
        if parts.status.is_success() {
            // What must not be kept takes the place of what was.
            self.forget(&key);
        }
        let age = policy.age(now);
        let headers = std::mem::take(&mut parts.headers);
        let url = request.uri().clone();
        IncomingResponse { status: parts.status, headers, body, url, source: AnswerSource::Server, age, fresh_for: Duration::ZERO }
    }

    /// An answer in place of a server that is away, where the plugin takes one (RFC 5861, section 4) and the server did not forbid it
    /// (RFC 9111, section 5.2.2.2).
    pub(super) fn stale(&mut self, request: &Request<()>, wanted: Use, now: SystemTime) -> Option<IncomingResponse> {
        let entry = self.entries.get(&key(request))?;
        let forbidden = ["must-revalidate", "no-cache"].into_iter().any(|directive| says(&entry.headers, directive));
        let past = entry.policy.age(now).saturating_sub(entry.lifetime);
        (!forbidden && !wanted.stale_if_error.is_zero() && past <= wanted.stale_if_error)
            .then(|| entry.answer(request, AnswerSource::Stale, now))
    }

    /// The same where nobody may be asked: what is only older than was wanted says nothing of its server, so it is no answer in its place.
    pub(super) fn past_its_time(&mut self, request: &Request<()>, wanted: Use, now: SystemTime) -> Option<IncomingResponse> {
        self.entries.get(&key(request)).filter(|entry| entry.policy.is_stale(now))?;
        self.stale(request, wanted, now)
    }

    /// What was asked for may have changed what is at this URL: its answers are forgotten (RFC 9111, section 4.4).
    pub(super) fn invalidate(&mut self, url: &Uri) {
        let url = url.to_string().into_bytes();
        let is_of_it = |key: &[u8]| key.strip_prefix(url.as_slice()).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'\n'));
        let stale: Vec<_> = self.entries.keys().filter(|key| is_of_it(key)).cloned().collect();
        stale.iter().for_each(|key| self.forget(key));
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }

    /// What was not used for longest goes.
    fn evict(&mut self) {
        while self.bytes > self.max_bytes || self.entries.len() > MAX_ENTRIES {
            let Some(key) = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone()) else { return };
            self.forget(&key);
        }
    }
}

impl Entry {
    fn may_be_asked_for_anew(&mut self, now: SystemTime) -> bool {
        let most = now + ANEW * BURST_ANEW;
        // Further on it is only where the clock was set back.
        let next = if self.anew > most { now } else { self.anew.max(now) } + ANEW;
        let may = next <= most;
        if may {
            self.anew = next;
        }
        may
    }

    fn answer(&self, request: &Request<()>, source: AnswerSource, now: SystemTime) -> IncomingResponse {
        IncomingResponse {
            status: self.status,
            headers: self.headers.clone(),
            body: self.body.clone(),
            url: request.uri().clone(),
            source,
            age: self.policy.age(now),
            fresh_for: self.policy.time_to_live(now),
        }
    }
}

/// How long an answer that has just come is fresh, from when it was made.
fn lifetime(policy: &CachePolicy, now: SystemTime) -> Duration {
    policy.time_to_live(now).saturating_add(policy.age(now))
}

/// By what an answer is found again.
fn key(request: &Request<()>) -> Vec<u8> {
    let mut key = request.uri().to_string().into_bytes();
    let mut lines: Vec<_> = request.headers().iter().collect();
    // The order of different names says nothing (RFC 9110, section 5.3); that of one name's values stays.
    lines.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in lines {
        key.push(b'\n');
        key.extend_from_slice(name.as_str().as_bytes());
        key.push(b':');
        key.extend_from_slice(value.as_bytes());
    }
    key
}

fn policy(request: &Request<()>, parts: &http::response::Parts, wanted: Use, now: SystemTime) -> CachePolicy {
    // No guesses from a date: the plugin says what it takes.
    let options = CacheOptions { shared: false, cache_heuristic: 0.0, ..CacheOptions::default() };
    let mut judged = Response::from_parts(parts.clone(), ());
    lower_directives(judged.headers_mut());
    if !wanted.default_freshness.is_zero() && !says_how_long(&parts.headers) {
        let directive = HeaderValue::try_from(format!("max-age={}", wanted.default_freshness.as_secs()));
        judged.headers_mut().extend(directive.ok().map(|directive| (CACHE_CONTROL, directive)));
    }
    CachePolicy::new_options(request, &judged, now, options)
}

/// Directives are the same in any case (RFC 9111, section 5.2); the library compares them by case. What they say of numbers and names has none that counts.
fn lower_directives(headers: &mut HeaderMap) {
    for (_, value) in headers.iter_mut().filter(|(name, _)| *name == CACHE_CONTROL) {
        if let Ok(lower) = HeaderValue::from_bytes(&value.as_bytes().to_ascii_lowercase()) {
            *value = lower;
        }
    }
}

fn varies_by_everything(headers: &HeaderMap) -> bool {
    headers.get_all(VARY).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).any(|name| name.trim() == "*")
}

/// The headers of an answer that was found to be the same. What a 304 says takes the place of what was said, all lines of a name at once, and what it
/// says for the first time counts as well (RFC 9111, section 3.2). The body is the old one, and so is what is said of that.
fn updated(kept: &HeaderMap, not_modified: &HeaderMap) -> HeaderMap {
    let mut headers = kept.clone();
    for name in not_modified.keys() {
        if matches!(name.as_str(), "content-length" | "content-encoding" | "content-range" | "transfer-encoding") {
            continue;
        }
        headers.remove(name);
        for value in not_modified.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

/// An age past the greatest would overflow when time is added to it; what is no number is no age (RFC 9111, section 5.1).
fn limit_age(headers: &mut HeaderMap) {
    let Some(age) = headers.get(AGE).map(HeaderValue::as_bytes) else { return };
    let is_number = !age.is_empty() && age.iter().all(u8::is_ascii_digit);
    let seconds = std::str::from_utf8(age).ok().and_then(|age| age.parse().ok()).unwrap_or(u64::MAX);
    if !is_number {
        headers.remove(AGE);
    } else if seconds > OLDEST {
        headers.insert(AGE, HeaderValue::from(OLDEST));
    }
}

/// What a 304 leaves out it does not deny: some servers repeat no validator, or only one of two. Another `Last-Modified` is a denial.
fn add_validators(not_modified: &mut HeaderMap, kept: &HeaderMap) {
    if not_modified.get(LAST_MODIFIED).is_some_and(|modified| kept.get(LAST_MODIFIED).is_some_and(|kept| kept != modified)) {
        return;
    }
    for name in [ETAG, LAST_MODIFIED] {
        if let (false, Some(value)) = (not_modified.contains_key(&name), kept.get(&name)) {
            not_modified.insert(name, value.clone());
        }
    }
}

fn says_how_long(headers: &HeaderMap) -> bool {
    let words = ["max-age", "no-store", "no-cache", "must-revalidate", "immutable"];
    headers.contains_key(EXPIRES) || headers.contains_key(PRAGMA) || words.into_iter().any(|word| says(headers, word))
}

/// Whether `cache-control` has a directive.
fn says(headers: &HeaderMap, directive: &str) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let names = lines.flat_map(|line| line.split(',')).filter_map(|part| part.split('=').next());
    names.map(str::trim).any(|name| name.eq_ignore_ascii_case(directive))
}

fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests;
