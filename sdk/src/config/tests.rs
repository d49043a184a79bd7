use serde::Deserialize;

use super::read;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[expect(dead_code, reason = "only its type is looked at")]
    limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    #[expect(dead_code, reason = "only its type is looked at")]
    burst: u32,
}

fn refusal(json: &str) -> String {
    read::<Config>(json).unwrap_err().to_string()
}

#[test]
fn names_the_key_of_a_wrong_type() {
    assert_eq!(refusal(r#"{"limits":{"burst":"many"}}"#), "`limits.burst`: invalid type: string \"many\", expected u32");
}

#[test]
fn names_an_unknown_key() {
    let text = refusal(r#"{"limits":{"brust":1}}"#);
    assert!(text.contains("limits") && text.contains("unknown field `brust`, expected `burst`"), "{text}");
}

#[test]
fn names_a_missing_key() {
    assert_eq!(refusal("{}"), "missing field `limits`");
}
