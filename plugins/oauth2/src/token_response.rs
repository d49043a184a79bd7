//! What a token endpoint answers (RFC 6749, sections 5.1 and 5.2), as far as it is read alike for whichever grant.

use std::time::Duration;

use plugway_sdk::Status;
use serde_json::{Map, Value};

use crate::document::Trouble;

/// The server's word for what is wrong with a grant. RFC 6749 wants 400 for it, and servers have 401, 403 and 422 as well; one that is asked too
/// often, or is broken, has not looked at the grant.
pub(crate) fn error(status: Status, members: Option<&Map<String, Value>>) -> Option<&str> {
    let is_about_grant = (400..500).contains(&status.0) && status != Status::TOO_MANY_REQUESTS;
    members.filter(|_| is_about_grant)?.get("error")?.as_str()
}

/// How long a token is good, where that is said. Some servers write the number as a text, or as a float.
pub(crate) fn life(members: &Map<String, Value>) -> Result<Option<Duration>, Trouble> {
    let seconds = match members.get("expires_in") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Some(Value::String(digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        Some(_) => None,
    };
    let seconds = seconds.ok_or_else(|| Trouble::Rubbish("`expires_in` is no number of seconds".to_owned()))?;
    Ok(Some(Duration::from_secs(seconds)))
}

fn whole(float: f64) -> Option<u64> {
    let duration = Duration::try_from_secs_f64(float).ok()?;
    (duration.subsec_nanos() == 0).then_some(duration.as_secs())
}

#[cfg(test)]
mod tests {
    use plugway_sdk::testing::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(members) = value else { panic!("{value}") };
        members
    }

    #[test]
    fn takes_a_whole_number_of_seconds_however_it_is_written() {
        for (written, seconds) in [
            (json!({ "expires_in": 3600 }), Some(3_600)),
            (json!({ "expires_in": "3600" }), Some(3_600)),
            (json!({ "expires_in": 3600.0 }), Some(3_600)),
            (json!({ "expires_in": 3.6e3 }), Some(3_600)),
            (json!({ "expires_in": 0 }), Some(0)),
            (json!({ "expires_in": null }), None),
            (json!({}), None),
        ] {
            assert_eq!(life(&object(written.clone())), Ok(seconds.map(Duration::from_secs)), "{written}");
        }
        for written in [json!(""), json!("+5"), json!("5 "), json!("5.0"), json!("1e3"), json!("soon"), json!(-1), json!(-1.0), json!(0.5)]
        {
            assert!(life(&object(json!({ "expires_in": written }))).is_err(), "{written}");
        }
        for written in [json!(1e300), json!("99999999999999999999"), json!(true), json!([600]), json!({ "seconds": 600 })] {
            assert!(life(&object(json!({ "expires_in": written }))).is_err(), "{written}");
        }
    }

    #[test]
    fn an_error_is_about_the_grant_only_where_the_server_looked_at_it() {
        let members = object(json!({ "error": "invalid_grant" }));
        for (status, is_about_grant) in
            [(400, true), (401, true), (403, true), (422, true), (200, false), (429, false), (500, false), (503, false)]
        {
            assert_eq!(error(Status(status), Some(&members)).is_some(), is_about_grant, "{status}");
        }
        assert_eq!(error(Status(400), None), None);
        assert_eq!(error(Status(400), Some(&object(json!({ "error": 1 })))), None);
    }
}
