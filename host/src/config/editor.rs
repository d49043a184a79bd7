//! The JSON schema: what editors complete and check with, and what `structure` checks a file against.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::schema::File;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>().to_value();
    drop_null(&mut schema);
    schema
});

/// The schema of a configuration file.
pub(super) fn schema() -> &'static Value {
    &SCHEMA
}

/// The JSON schema of the configuration file, for editors.
pub fn json_schema() -> String {
    // A tree of JSON values always prints.
    let mut text = serde_json::to_string_pretty(schema()).unwrap_or_default();
    text.push('\n');
    text
}

/// TOML has no null: what may be left out is simply left out.
fn drop_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        Value::Object(map) => {
            for list in ["type", "enum", "anyOf"] {
                let Some(Value::Array(items)) = map.get_mut(list) else { continue };
                items.retain(|item| !is_null(item));
                if items.len() != 1 || list == "enum" {
                    continue;
                }
                let single = items.pop();
                map.remove(list);
                match single {
                    // What is said about this one place goes before what is said about the type.
                    Some(Value::Object(single)) => single.into_iter().for_each(|(key, value)| {
                        map.entry(key).or_insert(value);
                    }),
                    Some(single) => {
                        map.insert(list.to_owned(), single);
                    }
                    None => {}
                }
            }
            if map.get("default").is_some_and(Value::is_null) {
                map.remove("default");
            }
            map.values_mut().for_each(drop_null);
        }
        _ => {}
    }
}

fn is_null(item: &Value) -> bool {
    match item {
        Value::Object(map) => map.get("type").is_some_and(|kind| kind == "null"),
        Value::String(kind) => kind == "null",
        other => other.is_null(),
    }
}
