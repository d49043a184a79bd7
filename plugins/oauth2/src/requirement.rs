//! Rules about single claims: equal to something, one of several, a list that contains something.

use std::fmt;

use plugway_sdk::one_or_many;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::json::{Json, Members};

/// A claim by its name, or by the way to it: `"tenant"`, `["realm_access", "roles"]`. Names have dots and slashes in them, so a dot is no way.
#[derive(Debug)]
pub(crate) struct ClaimPath(Vec<String>);

/// One rule as written: exactly one of the three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequirementConfig {
    claim: ClaimPath,
    equals: Option<Value>,
    one_of: Option<Vec<Value>>,
    contains: Option<Value>,
}

/// One rule, checked.
#[derive(Debug)]
pub(crate) struct Requirement {
    claim: ClaimPath,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    OneOf(Vec<Value>),
    Contains(Value),
}

impl<'de> Deserialize<'de> for ClaimPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        one_or_many(deserializer, "the name of a claim, or a list of names that lead to it").map(Self)
    }
}

impl ClaimPath {
    /// What is there.
    pub(crate) fn find<'a, 'm>(&self, claims: &'m Members<'a>) -> Option<&'m Json<'a>> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| match value {
            Json::Object(members) => members.get(name),
            _ => None,
        })
    }
}

impl RequirementConfig {
    pub(crate) fn check(self) -> Result<Requirement, String> {
        if self.claim.0.is_empty() || self.claim.0.iter().any(String::is_empty) {
            return Err("`claim` names nothing".to_owned());
        }
        let rule = match (self.equals, self.one_of, self.contains) {
            (Some(value), None, None) => Rule::OneOf(vec![value]),
            (None, Some(values), None) if !values.is_empty() => Rule::OneOf(values),
            (None, None, Some(value)) => Rule::Contains(value),
            _ => return Err("write one of `equals`, `one_of` (with something in it) and `contains`".to_owned()),
        };
        let values = match &rule {
            Rule::OneOf(values) => values.as_slice(),
            Rule::Contains(value) => std::slice::from_ref(value),
        };
        if values.iter().any(|value| !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))) {
            return Err("a claim is compared with a text, a number or a boolean".to_owned());
        }
        Ok(Requirement { claim: self.claim, rule })
    }
}

impl Requirement {
    /// Whether the claims meet it. A claim that is absent meets nothing. Types have to be the same: `"1"` is not 1.
    pub(crate) fn is_met(&self, claims: &Members<'_>) -> bool {
        let Some(value) = self.claim.find(claims) else { return false };
        match &self.rule {
            Rule::OneOf(values) => values.iter().any(|wanted| is_same(wanted, value)),
            // A text with spaces is a list of words, as `scope` is.
            Rule::Contains(wanted) => match value {
                Json::List(items) => items.iter().any(|item| is_same(wanted, item)),
                Json::Text(text) => wanted.as_str().is_some_and(|wanted| text.split(' ').any(|word| word == wanted)),
                _ => false,
            },
        }
    }
}

/// As an operator reads it in a log.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.claim.0.join("."))?;
        match &self.rule {
            Rule::Contains(wanted) => write!(f, " contains {wanted}"),
            Rule::OneOf(values) => {
                let values: Vec<_> = values.iter().map(Value::to_string).collect();
                write!(f, " is {}", values.join(" or "))
            }
        }
    }
}

/// 3 and 3.0 are one number (RFC 8259, section 6, leaves it to readers).
fn is_same(wanted: &Value, value: &Json<'_>) -> bool {
    match (wanted, value) {
        (Value::Number(wanted), Json::Number(value)) => {
            wanted == value || wanted.as_f64() == value.as_f64() && !(wanted.is_i64() && value.is_i64())
        }
        _ => Json::from(wanted) == *value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_met(rule: Value, claims: Value) -> bool {
        let config: RequirementConfig = serde_json::from_value(rule).unwrap();
        let Value::Object(claims) = claims else { unreachable!() };
        config.check().unwrap().is_met(&Members::from(&claims))
    }

    #[test]
    fn holds_what_is_written() {
        for (rule, claims, expected) in [
            (json!({ "claim": "a", "equals": "x" }), json!({ "a": "x" }), true),
            (json!({ "claim": "a", "equals": "x" }), json!({ "a": "X" }), false),
            (json!({ "claim": "a", "equals": "x" }), json!({ "a": ["x"] }), false),
            (json!({ "claim": "a", "equals": "x" }), json!({}), false),
            (json!({ "claim": "a", "equals": 1 }), json!({ "a": "1" }), false),
            (json!({ "claim": "a", "equals": 1 }), json!({ "a": 1.0 }), true),
            (json!({ "claim": "a", "equals": 9007199254740993_i64 }), json!({ "a": 9007199254740992_i64 }), false),
            (json!({ "claim": "a", "equals": true }), json!({ "a": true }), true),
            (json!({ "claim": "a", "equals": false }), json!({ "a": null }), false),
            (json!({ "claim": "a", "one_of": ["x", 2] }), json!({ "a": 2 }), true),
            (json!({ "claim": "a", "one_of": ["x", 2] }), json!({ "a": "y" }), false),
            (json!({ "claim": "a", "contains": "x" }), json!({ "a": ["y", "x"] }), true),
            (json!({ "claim": "a", "contains": "x" }), json!({ "a": [["x"]] }), false),
            (json!({ "claim": "a", "contains": "x" }), json!({ "a": "y x" }), true),
            (json!({ "claim": "a", "contains": "x" }), json!({ "a": "xy" }), false),
            (json!({ "claim": "a", "contains": "x" }), json!({ "a": { "x": 1 } }), false),
            (json!({ "claim": ["a", "b"], "contains": "x" }), json!({ "a": { "b": ["x"] } }), true),
            (json!({ "claim": ["a", "b"], "contains": "x" }), json!({ "a": { "c": ["x"] } }), false),
            (json!({ "claim": "a.b", "equals": "x" }), json!({ "a": { "b": "x" } }), false),
            (json!({ "claim": "https://x.example/roles", "contains": "x" }), json!({ "https://x.example/roles": ["x"] }), true),
        ] {
            assert_eq!(is_met(rule.clone(), claims.clone()), expected, "{rule} {claims}");
        }
    }

    #[test]
    fn refuses_what_says_nothing() {
        for rule in [
            json!({ "claim": "a" }),
            json!({ "claim": "a", "equals": "x", "contains": "x" }),
            json!({ "claim": "a", "one_of": [] }),
            json!({ "claim": "", "equals": "x" }),
            json!({ "claim": [], "equals": "x" }),
            json!({ "claim": "a", "equals": ["x"] }),
        ] {
            let config: RequirementConfig = serde_json::from_value(rule.clone()).unwrap();
            assert!(config.check().is_err(), "{rule}");
        }
    }
}
