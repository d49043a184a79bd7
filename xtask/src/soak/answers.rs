//! What an answer says about the versions that had a part in it, and whether it may.

use plugway_harness::client::reported;
use plugway_harness::error::Context;
use plugway_harness::raw::RawResponse;
use plugway_harness::{Error, Result};

/// The version that served an answer.
///
/// # Errors
/// When it is no whole answer, or two versions had a part in it.
pub(super) fn version(response: &RawResponse) -> Result<u32> {
    if response.status != 200 {
        return Err(Error::new(format!("status {}: {}", response.status, response.text())));
    }
    let report = serde_json::from_slice(&response.body).context("the upstream's report")?;
    let on_the_way_in = reported(&report, "x-version");
    let on_the_way_out = String::from_utf8_lossy(response.header("x-version").unwrap_or_default()).into_owned();
    match on_the_way_in.as_slice() {
        [one] if *one == on_the_way_out => number(one),
        several => Err(Error::new(format!("{several:?} on the way in, {on_the_way_out:?} on the way out"))),
    }
}

fn number(text: &str) -> Result<u32> {
    text.strip_prefix("version-").and_then(|number| number.parse().ok()).context(format!("{text:?} is no version"))
}

/// Whether a version may answer: not one that was over when the request was sent, not one that was not there yet.
///
/// # Errors
/// What is wrong with it.
pub(super) fn judge(version: u32, oldest: u32, newest: u32) -> Result<()> {
    if version < oldest {
        return Err(Error::new(format!("version {version} answered a request that was sent when {oldest} served everywhere")));
    }
    if version > newest {
        return Err(Error::new(format!("version {version} answered and the newest file is {newest}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, inward: &str, outward: &str) -> RawResponse {
        let body = format!("{{\"headers\": [[\"x-version\", \"{inward}\"]]}}").into_bytes();
        let headers = vec![("x-version".to_owned(), outward.as_bytes().to_vec())];
        RawResponse { status, head: Vec::new(), headers, body, trailers: Vec::new() }
    }

    #[test]
    fn an_answer_has_one_version() {
        assert_eq!(version(&answer(200, "version-000007", "version-000007")).unwrap(), 7);
        assert!(version(&answer(200, "version-000007", "version-000008")).is_err());
        assert!(version(&answer(200, "", "")).is_err());
        assert!(version(&answer(502, "version-000007", "version-000007")).is_err());
    }

    #[test]
    fn a_version_answers_in_its_time() {
        assert!(judge(7, 6, 7).is_ok() && judge(6, 6, 7).is_ok());
        assert!(judge(5, 6, 7).is_err());
        assert!(judge(8, 6, 7).is_err());
    }
}
