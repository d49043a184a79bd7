//! Which keys the schema knows, and where.

use serde_json::Value;

/// Stands for a name the operator chooses.
pub(super) const ANY: &str = "NAME";

/// Tables that stay although a required key of theirs is missing, so that the rest of them is looked at too: their types can do
/// without any key.
const PARTIAL: [&str; 5] = ["listen.NAME", "otlp", "plugins.NAME", "routes", "upstreams.NAME"];

/// Whether a table without some required key can be read.
pub(super) fn may_be_partial(pattern: &str) -> bool {
    PARTIAL.contains(&pattern)
}

/// The key of a key.
pub(super) fn below(pattern: &str, key: &str) -> String {
    if pattern.is_empty() { key.to_owned() } else { format!("{pattern}.{key}") }
}

/// Whether a table is directly or indirectly in another.
pub(super) fn is_inside(pattern: &str, outer: &str) -> bool {
    !outer.is_empty() && pattern.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
}

/// What a `$ref` refers to.
pub(super) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| root.pointer(name.strip_prefix('#')?));
    target.unwrap_or(schema)
}

/// Every table that knows a key: `""` for the file itself, `upstreams.NAME.timeouts`.
pub(super) fn belongs(root: &Value, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    visit(root, root, "", &mut |pattern, known| {
        if known == key && !found.iter().any(|found| found == pattern) {
            found.push(pattern.to_owned());
        }
    });
    found
}

/// Calls `each` with every table and every key of it. The schema has no cycles: a configuration cannot hold itself.
pub(in crate::config) fn visit(root: &Value, schema: &Value, pattern: &str, each: &mut impl FnMut(&str, &str)) {
    let schema = resolve(root, schema);
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        each(pattern, key);
        visit(root, property, &below(pattern, key), each);
    }
    if let Some(entries) = schema.get("additionalProperties").filter(|entries| entries.is_object()) {
        visit(root, entries, &below(pattern, ANY), each);
    }
    let forms = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    for form in forms.chain(schema.get("items")) {
        visit(root, form, pattern, each);
    }
}
