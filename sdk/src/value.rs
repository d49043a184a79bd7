//! Typed values of attributes, claims and record fields.

pub use crate::bindings::imports::plugway::gateway::types::Value;

impl Value {
    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// The number; an integer counts as one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "documented: integers past 2^53 are rounded as JSON readers do")]
            Self::Integer(integer) => Some(*integer as f64),
            _ => None,
        }
    }

    /// True or false, if it is that.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The bytes; those of a text too.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    &str => Text, String => Text,
    i64 => Integer, i32 => Integer, u32 => Integer, u16 => Integer, u8 => Integer,
    f64 => Number, f32 => Number,
    bool => Boolean,
    Vec<u8> => Bytes, &[u8] => Bytes,
}
