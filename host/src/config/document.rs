//! The file as a tree of values, with the place of each. Nothing here knows what the keys mean.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::model::Position;
use super::problems::Problem;

/// Deeper nesting is refused: everything that walks the tree calls itself once per level.
const MAX_DEPTH: usize = 64;

/// A key from the top of the file: `routes[2].match.path`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct At(String);

/// Where a key and its value stand.
#[derive(Debug, Clone, Copy, Default)]
struct Spot {
    key: Position,
    value: Position,
}

/// Where everything in a file stands.
#[derive(Debug, Default)]
pub struct Places(HashMap<At, Spot>);

/// A file that is TOML.
#[derive(Debug)]
pub(super) struct Document {
    /// What is in it, as JSON. Dates are strings, since JSON has none. What JSON cannot say is null, which TOML has not.
    pub(super) tree: Map<String, Value>,
    /// Where it stands.
    pub(super) places: Places,
    /// What JSON cannot say.
    pub(super) problems: Vec<Problem>,
}

/// Reads a file.
///
/// # Errors
/// Everything that is no TOML.
pub(super) fn read(text: &str) -> Result<Document, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let lines = Lines::new(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| syntax(error, text, &lines)).collect());
    }
    let mut reader = Reader { lines, places: Places::default(), problems: Vec::new() };
    let start = reader.lines.position(0);
    reader.places.0.insert(At::default(), Spot { key: start, value: start });
    let tree = reader.table(table.into_inner(), &At::default(), 0);
    Ok(Document { tree, places: reader.places, problems: reader.problems })
}

/// What is no TOML, in the parser's words where they say enough.
fn syntax(error: &toml::de::Error, text: &str, lines: &Lines<'_>) -> Problem {
    let span = error.span().unwrap_or_default();
    let position = lines.position(span.start);
    let found = text.get(span).unwrap_or_default();
    match error.message().trim_end() {
        "duplicate key" => Problem::error(position, found, "this key is there already")
            .with_suggestion("each key stands once in its table, and each `[table]` once in the file: merge the two"),
        message if message.starts_with("string values must be quoted") && found.is_empty() => {
            Problem::error(position, "", "a value is missing").with_suggestion("write one behind the `=`, or remove the key")
        }
        message if message.starts_with("string values must be quoted") => Problem::error(position, "", format!("`{found}` is no value"))
            .with_suggestion(format!("text stands in quotes: \"{found}\"; without are numbers, `true` and `false`")),
        message => Problem::error(position, "", format!("this is no TOML: {message}")),
    }
}

struct Reader<'a> {
    lines: Lines<'a>,
    places: Places,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, table: DeTable<'_>, at: &At, depth: usize) -> Map<String, Value> {
        let mut map = Map::new();
        for (key, value) in table {
            let at = at.key(key.get_ref());
            let position = self.lines.position(key.span().start);
            let value = self.value(value, at, Some(position), depth + 1);
            map.insert(key.into_inner().into_owned(), value);
        }
        map
    }

    fn value(&mut self, value: Spanned<DeValue<'_>>, at: At, key: Option<Position>, depth: usize) -> Value {
        let position = self.lines.position(value.span().start);
        let spot = Spot { key: key.unwrap_or(position), value: position };
        self.places.0.insert(at.clone(), spot);
        if depth > MAX_DEPTH {
            self.problems.push(Problem::error(position, at.to_string(), format!("this is nested more than {MAX_DEPTH} levels deep")));
            return Value::Null;
        }
        match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Datetime(value) => Value::String(value.to_string()),
            DeValue::Integer(value) => {
                let (digits, radix) = (value.as_str(), value.radix());
                let signed = i64::from_str_radix(digits, radix).map(Number::from);
                let number = signed.or_else(|_| u64::from_str_radix(digits, radix).map(Number::from)).ok();
                self.number(number, &at, position, "this number is too large", "whole numbers have at most 64 bits")
            }
            DeValue::Float(value) => {
                let number = value.as_str().parse().ok().and_then(Number::from_f64);
                self.number(
                    number,
                    &at,
                    position,
                    "`inf` and `nan` cannot be given to a plugin",
                    "write a finite number, or a string the plugin understands",
                )
            }
            DeValue::Array(items) => {
                let items = items.into_iter().enumerate().map(|(index, item)| self.value(item, at.index(index), None, depth + 1));
                Value::Array(items.collect())
            }
            DeValue::Table(table) => Value::Object(self.table(table, &at, depth)),
        }
    }

    fn number(&mut self, number: Option<Number>, at: &At, position: Position, message: &str, suggestion: &str) -> Value {
        if number.is_none() {
            self.problems.push(Problem::error(position, at.to_string(), message).with_suggestion(suggestion));
        }
        number.map_or(Value::Null, Value::Number)
    }
}

// === impl At ===

impl At {
    /// A key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let dot = if self.0.is_empty() { "" } else { "." };
        if bare { Self(format!("{}{dot}{key}", self.0)) } else { Self(format!("{}{dot}{key:?}", self.0)) }
    }

    /// An item of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The key itself, without what it stands in; `None` for an item of a list.
    pub(super) fn last_key(&self) -> Option<&str> {
        let last = self.0.rsplit('.').next().filter(|key| !key.is_empty())?;
        (!last.ends_with([']', '"'])).then_some(last)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Places ===

impl Places {
    /// Where a value stands. What is not there stands at the beginning.
    pub(super) fn value(&self, at: &At) -> Position {
        self.0.get(at).map_or(Position { line: 1, column: 1 }, |spot| spot.value)
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, at: &At) -> bool {
        self.0.contains_key(at)
    }

    /// Where a key stands.
    pub(super) fn key(&self, at: &At) -> Position {
        self.0.get(at).map_or(Position { line: 1, column: 1 }, |spot| spot.key)
    }

    /// Whether a key such as `routes[2].match` is in the file.
    pub fn knows(&self, key: &str) -> bool {
        self.has(&At(key.to_owned()))
    }

    /// Where the value of a key such as `routes[2].match` stands, or else that of the innermost table or list it would be in: a
    /// default that turns out to be wrong is written nowhere.
    pub fn nearest(&self, key: &str) -> Position {
        let mut at = At(key.to_owned());
        while !self.has(&at) {
            match at.0.rfind(['.', '[']) {
                Some(end) => at.0.truncate(end),
                None => at.0.clear(),
            }
            if at.0.is_empty() {
                break;
            }
        }
        self.value(&at)
    }
}

/// Byte offsets as lines and columns.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(offset, _)| offset + 1)).collect();
        Self { text, starts }
    }

    fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        // Characters, not bytes: continuation bytes of UTF-8 are not counted.
        let column = before.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Position { line, column: column + 1 }
    }
}
