//! Capabilities of the double: what the gateway would know and be told, one state per test thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::log::Level;
use crate::routing::EndpointId;

/// What `endpoints` answers for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointState {
    /// Whether requests may be sent there.
    pub available: bool,
    /// Requests being answered there.
    pub in_flight: u32,
    /// Moving average of the time to the response head.
    pub latency: Duration,
    /// Requests being answered by its whole upstream.
    pub upstream_in_flight: u32,
}

impl Default for EndpointState {
    /// Available and idle.
    fn default() -> Self {
        Self { available: true, in_flight: 0, latency: Duration::ZERO, upstream_in_flight: 0 }
    }
}

struct State {
    now: Duration,
    started: Duration,
    random: u64,
    logs: Vec<(Level, String)>,
    endpoints: BTreeMap<EndpointId, EndpointState>,
}

/// 1 January 2026, 00:00 UTC.
const START: Duration = Duration::from_secs(1_767_225_600);

thread_local! {
    static STATE: RefCell<State> = const {
        RefCell::new(State { now: START, started: START, random: 0, logs: Vec::new(), endpoints: BTreeMap::new() })
    };
}

/// Sets the wall clock, since the Unix epoch. It stands still at 1 January 2026 until a test moves it.
pub fn set_now(now: Duration) {
    STATE.with_borrow_mut(|state| {
        let passed = state.now.saturating_sub(state.started);
        state.now = now;
        state.started = now.saturating_sub(passed);
    });
}

/// Lets time pass on both clocks.
pub fn advance(time: Duration) {
    STATE.with_borrow_mut(|state| state.now += time);
}

/// Log lines written so far, and forgets them.
pub fn take_logs() -> Vec<(Level, String)> {
    STATE.with_borrow_mut(|state| std::mem::take(&mut state.logs))
}

/// Makes an endpoint known to the `endpoints` capability, or changes what it says of one.
pub fn set_endpoint(id: EndpointId, endpoint: EndpointState) {
    STATE.with_borrow_mut(|state| state.endpoints.insert(id, endpoint));
}

/// Takes an endpoint away: not available, all zeros.
pub fn remove_endpoint(id: EndpointId) {
    STATE.with_borrow_mut(|state| state.endpoints.remove(&id));
}

fn endpoint(id: EndpointId) -> Option<EndpointState> {
    STATE.with_borrow(|state| state.endpoints.get(&id).copied())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) mod clock {
    use super::{STATE, nanoseconds};

    pub(crate) fn now() -> u64 {
        STATE.with_borrow(|state| nanoseconds(state.now))
    }

    pub(crate) fn monotonic() -> u64 {
        STATE.with_borrow(|state| nanoseconds(state.now.saturating_sub(state.started)))
    }
}

pub(crate) mod header_names {
    use std::sync::{Mutex, PoisonError};

    pub(crate) use crate::bindings::imports::plugway::gateway::header_names::NumberError;
    use crate::header;

    /// Of the whole process, so that a plugin configured in one thread can be used in another.
    static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

    pub(crate) fn number(name: &str) -> Result<u16, NumberError> {
        if let Some(number) = header::known(name) {
            return Ok(number);
        }
        if !super::super::rules::is_token(name) {
            return Err(NumberError::Invalid);
        }
        let name = name.to_ascii_lowercase();
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let at = names.iter().position(|known| *known == name).unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        });
        u16::try_from(at).ok().and_then(|own| own.checked_add(1 << 15)).ok_or(NumberError::TooMany)
    }
}

pub(crate) mod header_lines {
    use std::sync::{Mutex, PoisonError};

    use super::super::rules;
    pub(crate) use crate::bindings::imports::plugway::gateway::header_lines::NumberError;
    use crate::bindings::imports::plugway::gateway::types::ChangeError;
    use crate::header::HeaderName;

    /// What one instance has in the gateway: lines, and bytes of their names and values.
    const MOST: usize = 256;
    const MOST_BYTES: usize = 64 << 10;

    /// Name and value of each.
    type Line = (String, Vec<u8>);

    /// Of the whole process, as numbers of names are. A test has few, so all tests together are what one instance may have.
    static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

    pub(crate) fn number(name: HeaderName<'_>, value: &[u8]) -> Result<u16, NumberError> {
        let name = name.as_str();
        if !rules::is_token(name) {
            return Err(NumberError::InvalidName);
        }
        if !rules::is_header_value(value) {
            return Err(NumberError::InvalidValue);
        }
        let line = (name.to_ascii_lowercase(), value.to_vec());
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match lines.iter().position(|known| *known == line) {
            Some(at) => at,
            None => {
                let bytes: usize = lines.iter().chain([&line]).map(|(name, value)| name.len() + value.len()).sum();
                if lines.len() == MOST || bytes > MOST_BYTES {
                    return Err(NumberError::TooMany);
                }
                lines.push(line);
                lines.len() - 1
            }
        };
        u16::try_from(at).map_err(|_| NumberError::TooMany)
    }

    pub(crate) fn line(number: u16) -> Result<Line, ChangeError> {
        let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get(usize::from(number)).cloned().ok_or_else(|| ChangeError::Invalid("no line has this number".to_owned()))
    }
}

pub(crate) mod log {
    use super::STATE;
    use crate::log::Level;

    /// The gateway's limit on one line, bytes.
    const MAX_LINE: usize = 4096;

    pub(crate) fn enabled(_: Level) -> bool {
        true
    }

    pub(crate) fn write(level: Level, message: &str) {
        let end = message.floor_char_boundary(MAX_LINE);
        let line = message.get(..end).unwrap_or(message).to_owned();
        STATE.with_borrow_mut(|state| state.logs.push((level, line)));
    }
}

pub(crate) mod random {
    use super::STATE;

    /// The same numbers in every test (SplitMix64), so that a failure can be repeated.
    pub(crate) fn number() -> u64 {
        STATE.with_borrow_mut(|state| {
            state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state.random;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
    }

    pub(crate) fn bytes(length: u32) -> Vec<u8> {
        let length = usize::try_from(length.min(4096)).unwrap_or(4096);
        std::iter::repeat_with(|| number().to_le_bytes()).flatten().take(length).collect()
    }
}

pub(crate) mod endpoints {
    use super::endpoint;
    use crate::routing::EndpointId;

    pub(crate) fn available(id: EndpointId) -> bool {
        endpoint(id).is_some_and(|endpoint| endpoint.available)
    }

    pub(crate) fn in_flight(id: EndpointId) -> u32 {
        endpoint(id).map_or(0, |endpoint| endpoint.in_flight)
    }

    pub(crate) fn latency_us(id: EndpointId) -> u32 {
        endpoint(id).map_or(0, |endpoint| u32::try_from(endpoint.latency.as_micros()).unwrap_or(u32::MAX))
    }

    pub(crate) fn upstream_in_flight(id: EndpointId) -> u32 {
        endpoint(id).map_or(0, |endpoint| endpoint.upstream_in_flight)
    }
}
