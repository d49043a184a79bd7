//! What the schema expects, in words.

use serde_json::Value;

use super::known::resolve;
use crate::config::document::At;

/// Whether a value is of a schema's type. Says nothing about what is inside it.
pub(super) fn fits(value: &Value, schema: &Value) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some(_) => value.is_number(),
    }
}

/// What a schema takes: `a string`, `a list`, `"client", "endpoint" or a table`.
pub(super) fn expectation(root: &Value, schema: &Value) -> String {
    let mut forms = Vec::new();
    add_forms(root, schema, &mut forms);
    let last = forms.pop().unwrap_or_default();
    if forms.is_empty() { last } else { format!("{} or {last}", forms.join(", ")) }
}

fn add_forms(root: &Value, schema: &Value, forms: &mut Vec<String>) {
    let schema = resolve(root, schema);
    if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
        return options.iter().for_each(|option| add_forms(root, option, forms));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return forms.extend(words.iter().map(Value::to_string));
    }
    let form = match schema.get("type").and_then(Value::as_str) {
        Some("object") => "a table",
        Some("array") => "a list",
        Some("string") => "a string",
        Some("boolean") => return forms.extend(["`true`".to_owned(), "`false`".to_owned()]),
        Some("integer") => "a whole number",
        _ => "a value",
    };
    forms.push(form.to_owned());
}

/// A value as a person would call it.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Object(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) if text.chars().count() > 40 => "a string".to_owned(),
        Value::String(text) => format!("the string {text:?}"),
        Value::Number(number) if number.is_f64() => format!("the fraction {number}"),
        Value::Number(number) => format!("the number {number}"),
        other => format!("`{other}`"),
    }
}

/// The same value as the schema would take it, where that is plain: `"4"` for `4`, `"a"` for `["a"]`.
pub(super) fn instead(root: &Value, value: &Value, schema: &Value, at: &At) -> Option<String> {
    if let Value::String(text) = value
        && let Ok(unquoted) = serde_json::from_str::<Value>(text)
        && !unquoted.is_string()
        && fits(&unquoted, schema)
        && schema.get("type").is_some()
    {
        return Some(format!("write it without quotes: `{text}`"));
    }
    let item = resolve(root, schema.get("items")?);
    let options = item.get("anyOf").and_then(Value::as_array);
    if value.is_object() && fits(value, item) && item.get("type").is_some() {
        return Some(format!("write its header in two pairs of brackets, once for each: `[[{at}]]`"));
    }
    let takes = options.map_or_else(|| fits(value, item), |options| options.iter().any(|option| fits(value, resolve(root, option))));
    (takes && !value.is_object()).then(|| format!("write it in brackets: `[{value}]`"))
}

/// An example of the key, or else what the key means.
pub(super) fn for_example(root: &Value, at: &At, schema: &Value) -> Option<String> {
    let resolved = resolve(root, schema);
    let either = |key| schema.get(key).or_else(|| resolved.get(key));
    if let Some(example) = either("examples").and_then(|examples| examples.get(0)) {
        return Some(match at.last_key() {
            Some(key) => format!("for example `{key} = {}`", toml(example)),
            None => format!("for example `{}`", toml(example)),
        });
    }
    // Wrapped lines of a doc comment are one sentence.
    either("description").and_then(Value::as_str).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Examples are strings, numbers and lists of them: TOML writes these as JSON does, but for blanks.
fn toml(example: &Value) -> String {
    match example {
        Value::Array(items) => format!("[{}]", items.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
