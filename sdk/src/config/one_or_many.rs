//! Keys that take one value or a list of them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Reads one value, written as a text or a table, or a list of such values. `expected` says to the operator what there may be. An
/// untagged enum would do the same, and its only error is that nothing matched.
///
/// ```
/// use plugway_sdk::one_or_many;
/// use serde::{Deserialize, Deserializer};
///
/// struct Names(Vec<String>);
///
/// impl<'de> Deserialize<'de> for Names {
///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
///         one_or_many(deserializer, "a name, or a list of names").map(Self)
///     }
/// }
///
/// # fn main() -> Result<(), serde_json::Error> {
/// assert_eq!(serde_json::from_str::<Names>(r#""a""#)?.0, ["a"]);
/// assert_eq!(serde_json::from_str::<Names>(r#"["a", "b"]"#)?.0, ["a", "b"]);
/// # Ok(())
/// # }
/// ```
pub fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D, expected: &'static str) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_any(OneOrMany { expected, of: PhantomData })
}

struct OneOrMany<T> {
    expected: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(StrDeserializer::new(text)).map(|one| vec![one])
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(table)).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut many = Vec::new();
        while let Some(one) = list.next_element()? {
            many.push(one);
        }
        Ok(many)
    }
}
