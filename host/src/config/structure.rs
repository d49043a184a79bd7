//! Holds a file against the schema: unknown keys, missing keys, wrong types and numbers out of range, all of them.
//!
//! serde stops at the first thing it does not like. Here what is wrong is reported and cut out, so that serde accepts the
//! rest, and the rest is checked as well: one run of `check` shows everything.

mod expected;
mod known;

use serde_json::{Map, Value};

use self::expected::{expectation, fits, for_example, instead};
use self::known::belongs;
#[cfg(test)]
pub(super) use self::known::visit;
use super::document::{At, Places};
use super::model::Position;
use super::problems::Problem;
use super::suggest::{advice, nearest};

/// Reports and cuts out of `file` what the schema does not allow. A list keeps a null where an item was.
pub(super) fn check(file: &mut Value, schema: &Value, places: &Places) -> Vec<Problem> {
    let mut checker = Checker { root: schema, places, problems: Vec::new() };
    checker.check(file, schema, &Here::default());
    checker.problems
}

/// A place in the file, and what it is called in general: `listen.web` and `listen.NAME`.
#[derive(Default)]
struct Here {
    at: At,
    pattern: String,
}

impl Here {
    fn key(&self, key: &str) -> Self {
        Self { at: self.at.key(key), pattern: known::below(&self.pattern, key) }
    }

    fn entry(&self, key: &str) -> Self {
        Self { at: self.at.key(key), pattern: known::below(&self.pattern, known::ANY) }
    }

    fn item(&self, index: usize) -> Self {
        Self { at: self.at.index(index), pattern: self.pattern.clone() }
    }
}

struct Checker<'a> {
    root: &'a Value,
    places: &'a Places,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn report(&mut self, position: Position, at: &At, message: impl Into<String>, help: String) {
        self.problems.push(Problem::error(position, at.to_string(), message).with_suggestion(help));
    }

    /// Whether what is left of a value is good.
    fn check(&mut self, value: &mut Value, schema: &'a Value, here: &Here) -> bool {
        // TOML has no null: that is what was wrong in itself, and has been reported.
        if value.is_null() {
            return false;
        }
        let place = schema;
        let schema = known::resolve(self.root, schema);
        let options = schema.get("anyOf").and_then(Value::as_array);
        // Of several forms, the one of the value's own type is meant.
        let form = match options {
            None => Some(schema),
            Some(options) => options.iter().map(|option| known::resolve(self.root, option)).find(|option| fits(value, option)),
        };
        let Some(form) = form.filter(|form| fits(value, form)) else {
            let expected = expectation(self.root, schema);
            let found = expected::describe(value);
            let help = instead(self.root, value, schema, &here.at).or_else(|| for_example(self.root, &here.at, place));
            let help = help.unwrap_or_else(|| format!("write {expected}, or remove it"));
            self.report(self.places.value(&here.at), &here.at, format!("{expected} is expected here, not {found}"), help);
            return false;
        };
        match value {
            Value::Object(map) => self.table(map, form, here),
            Value::Array(items) => self.list(items, form, here),
            Value::String(word) => self.word(word, form, place, here),
            Value::Number(number) => self.range(number.as_i128(), form, here),
            _ => true,
        }
    }

    fn table(&mut self, map: &mut Map<String, Value>, schema: &'a Value, here: &Here) -> bool {
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        // Keys that seem to be meant by unknown ones: one mistake is one problem.
        let mut meant = Vec::new();
        map.retain(|key, value| {
            if let Some(schema) = known.and_then(|known| known.get(key)) {
                return self.check(value, schema, &here.key(key));
            }
            match others {
                Some(Value::Bool(false)) => {
                    let at = here.at.key(key);
                    let (near, help) = self.meant(key, known, here);
                    meant.extend(near);
                    self.report(self.places.key(&at), &at, "unknown key", help);
                    false
                }
                Some(schema @ Value::Object(_)) => self.check(value, schema, &here.entry(key)),
                _ => true,
            }
        });
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let mut readable = true;
        for key in required.filter(|key| !map.contains_key(*key)) {
            readable &= known::may_be_partial(&here.pattern);
            let at = here.at.key(key);
            // A key that is there was wrong, and that was said.
            if !self.places.has(&at) && !meant.contains(&key) {
                let help = known.and_then(|known| known.get(key)).and_then(|schema| for_example(self.root, &at, schema));
                let help = help.unwrap_or_else(|| format!("write `{key} = ...`"));
                self.report(self.places.value(&here.at), &at, format!("`{key}` is missing"), help);
            }
        }
        readable
    }

    /// The key of this table that an unknown one seems to mean, and advice.
    fn meant(&self, key: &str, known: Option<&'a Map<String, Value>>, here: &Here) -> (Option<&'a str>, String) {
        let belongs = belongs(self.root, key);
        let inside = belongs.iter().find(|pattern| known::is_inside(pattern, &here.pattern));
        if let Some(inside) = inside {
            return (None, format!("it is a key of `{inside}`"));
        }
        let words: Vec<&'a str> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let near = nearest(key, words.iter().copied());
        let help = match (near, belongs.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => advice(key, words.iter().copied(), "nothing can be set here"),
            (None, patterns) if patterns.iter().any(String::is_empty) => {
                "it is a key of the file itself: it stands above the first `[table]`".to_owned()
            }
            (None, patterns) => {
                let patterns: Vec<_> = patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
                format!("it is a key of {}", patterns.join(" and "))
            }
        };
        (near, help)
    }

    fn list(&mut self, items: &mut [Value], schema: &'a Value, here: &Here) -> bool {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            let help = for_example(self.root, &here.at, schema).unwrap_or_else(|| "put something into it, or remove it".to_owned());
            self.report(self.places.value(&here.at), &here.at, "this list must not be empty", help);
            return false;
        }
        if let Some(schema) = schema.get("items") {
            for (index, item) in items.iter_mut().enumerate() {
                if !self.check(item, schema, &here.item(index)) {
                    *item = Value::Null;
                }
            }
        }
        true
    }

    /// `form` is what is expected of a string, `place` everything that may stand here.
    fn word(&mut self, word: &str, form: &'a Value, place: &'a Value, here: &Here) -> bool {
        let Some(words) = form.get("enum").and_then(Value::as_array) else { return true };
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        if words.contains(&word) {
            return true;
        }
        let expected = expectation(self.root, place);
        let near = nearest(word, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let help = near.or_else(|| for_example(self.root, &here.at, place)).unwrap_or_else(|| format!("write {expected}"));
        self.report(self.places.value(&here.at), &here.at, format!("{expected} is expected here, not {word:?}"), help);
        false
    }

    fn range(&mut self, number: Option<i128>, schema: &'a Value, here: &Here) -> bool {
        let bound = |key| schema.get(key).and_then(Value::as_i64).map(i128::from);
        let (least, most) = (bound("minimum").unwrap_or(i128::MIN), bound("maximum").unwrap_or(i128::MAX));
        let Some(number) = number.filter(|number| !(least..=most).contains(number)) else { return true };
        let message = if number < least { format!("{number} is too small") } else { format!("{number} is too large") };
        let help = match most {
            i128::MAX => format!("{least} is the least"),
            most => format!("write {least} to {most}"),
        };
        self.report(self.places.value(&here.at), &here.at, message, help);
        false
    }
}
