//! The fields `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-11: lists of strings with parameters
//! (RFC 9651).

use std::borrow::Cow;
use std::time::Duration;

use plugway_sdk::rate_limit::Bucket;

/// One item of `RateLimit-Policy` (section 3.1): the quota and its window in seconds.
pub(crate) fn policy(name: &str, requests: u32, seconds: u64) -> String {
    format!("\"{name}\";q={requests};w={seconds}")
}

/// One item of `RateLimit` (section 4.1): what is left, and for how long nothing comes to it.
pub(crate) fn limit(name: &str, bucket: Bucket) -> String {
    format!("\"{name}\";r={};t={}", bucket.remaining, seconds(bucket.wait))
}

/// Whole seconds, rounded up: a client that waits so long is not refused again for having been too early.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))
}

/// The items of a list.
pub(crate) fn list<'a>(items: impl Iterator<Item = Cow<'a, str>>) -> String {
    items.fold(String::new(), |mut list, item| {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&item);
        list
    })
}
