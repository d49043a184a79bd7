//! JSON read strictly: an object that has a member twice is refused, at any depth. Two readers that keep different ones
//! would see two tokens (RFC 7515, section 4, and RFC 7519, section 4, allow refusing; RFC 8725, section 2.4, says why).
//!
//! A value borrows its texts where they stand: what a token says is read once and then dropped.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Up to so many members are compared each with each; more are sorted, so that a large object costs no more than its size.
const FEW: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Members<'a>),
}

/// The members of an object, each with a name of its own, as they were written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Members<'a>(Vec<(Name<'a>, Json<'a>)>);

/// The name of a member. Names are compared far more often than they are read, and a Wasm `memcmp` is a call and a loop over bytes.
#[derive(Debug, Clone, PartialEq)]
struct Name<'a> {
    /// Its first bytes, which tell most names apart.
    start: u64,
    text: Cow<'a, str>,
}

/// Reads one JSON text. It may nest 127 deep, the limit of `serde_json`; numbers past what a double holds are refused.
pub(crate) fn read(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Json<'_>>(text).map(Value::from)
}

/// Reads one JSON text that is an object.
pub(crate) fn read_object(text: &[u8]) -> Option<Map<String, Value>> {
    match read(text) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// The same, borrowed from the text.
pub(crate) fn members(text: &[u8]) -> Option<Members<'_>> {
    // All of it at once: one text is checked faster than each in it.
    match serde_json::from_str(std::str::from_utf8(text).ok()?) {
        Ok(Json::Object(members)) => Some(members),
        _ => None,
    }
}

impl<'a> Members<'a> {
    /// The one of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        let start = start(name);
        self.0.iter().find(|(own, _)| own.is(start, name)).map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.text.as_ref(), value))
    }

    fn has_one_twice(&self) -> bool {
        if self.0.len() <= FEW {
            let is_earlier = |place, name: &Name<'_>| self.0.iter().take(place).any(|(earlier, _)| earlier.is(name.start, &name.text));
            return self.0.iter().enumerate().any(|(place, (name, _))| is_earlier(place, name));
        }
        let mut names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.iter().zip(names.iter().skip(1)).any(|(one, next)| one == next)
    }
}

impl<'a> Name<'a> {
    fn new(text: Cow<'a, str>) -> Self {
        Self { start: start(&text), text }
    }

    /// Whether it is this one, of which `start` is known.
    fn is(&self, start: u64, text: &str) -> bool {
        self.start == start && self.text.len() == text.len() && (text.len() <= 8 || self.text == text)
    }
}

/// The first eight bytes of a text: of two that are no longer and of one length, whether they are the same.
fn start(text: &str) -> u64 {
    text.bytes().take(8).fold(0, |start, byte| start << 8 | u64::from(byte))
}

impl<'a> From<&'a Map<String, Value>> for Members<'a> {
    fn from(members: &'a Map<String, Value>) -> Self {
        Self(members.iter().map(|(name, value)| (Name::new(Cow::Borrowed(name)), Json::from(value))).collect())
    }
}

impl<'a> From<&'a Value> for Json<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => Self::Object(members.into()),
        }
    }
}

impl From<Json<'_>> for Value {
    fn from(json: Json<'_>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => Self::Number(number),
            Json::Text(text) => Self::String(text.into_owned()),
            Json::List(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(Members(members)) => {
                Self::Object(members.into_iter().map(|(name, value)| (name.text.into_owned(), value.into())).collect())
            }
        }
    }
}

/// As JSON text.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Value::from(self.clone()).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        // What most tokens have, in one allocation.
        let mut members = Vec::with_capacity(FEW);
        while let Some(name) = access.next_key()? {
            members.push((name, access.next_value()?));
        }
        let members = Members(members);
        if members.has_one_twice() {
            return Err(A::Error::custom("an object has the same member twice"));
        }
        Ok(Json::Object(members))
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Reader)? {
            Json::Text(name) => Ok(Self::new(name)),
            _ => Err(D::Error::custom("a name is text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads() {
        let text = br#"{"a":[1,-2,2.5,"x\u00fc",true,null,{}],"b":{"a":18446744073709551615}}"#;
        assert_eq!(read(text).unwrap(), serde_json::from_slice::<Value>(text).unwrap());
    }

    #[test]
    fn refuses_a_member_twice_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"b":{"a":1,"c":2,"a":3}}]"#] {
            assert!(read(text.as_bytes()).unwrap_err().to_string().starts_with("an object has the same member twice"), "{text}");
        }
    }

    #[test]
    fn refuses_a_member_twice_however_many_there_are() {
        for count in [FEW - 1, FEW, FEW + 1, 1_000] {
            let mut names: Vec<String> = (0..count).map(|number| format!("\"m{number}\":{number}")).collect();
            assert_eq!(members(format!("{{{}}}", names.join(",")).as_bytes()).unwrap().iter().count(), count);
            names.push("\"\\u006d0\":true".to_owned());
            assert_eq!(members(format!("{{{}}}", names.join(",")).as_bytes()), None, "{count}");
        }
    }

    #[test]
    fn borrows_what_needs_no_change() {
        let text = br#"{"a":"x","b":["y"],"c":"\u00fc"}"#;
        let members = members(text).unwrap();
        assert!(matches!(members.get("a"), Some(Json::Text(Cow::Borrowed("x")))));
        assert_eq!(members.get("c"), Some(&Json::Text("\u{fc}".into())));
        assert_eq!(members.get("d"), None);
        let owned = read_object(text).unwrap();
        assert_eq!(Members::from(&owned).get("b").unwrap().to_string(), r#"["y"]"#);
    }

    #[test]
    fn refuses_what_is_not_one_json_text() {
        for text in [&b""[..], b"{", b"{} {}", b"{\"a\":1,}", b"\xff", b"\"\xff\"", b"1e999", b"NaN", b"{1:2}", b"'a'", b"\xef\xbb\xbf{}"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(deep.as_bytes()).is_err());
        assert_eq!((read_object(b"[]"), members(b"[]"), members(b"{\"a\":\"\xff\"}")), (None, None, None));
    }
}
