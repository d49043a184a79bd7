//! What of a request comes with the call.

use std::fmt;
use std::ops::Deref;

use crate::error::ChangeError;
use crate::header::HeaderName;
#[cfg(target_family = "wasm")]
use crate::sys;

/// What the gateway gives of a request to [`RequestFilter::on_request`](crate::RequestFilter::on_request) and [`Router::route`](crate::Router::route) with
/// the call, so that [`Request::prefetched`](crate::Request::prefetched) needs none: for the one thing that a plugin reads in every request. The first that a
/// configuration names comes so, where it has 40 bytes at most; anything else is asked for when it is read, which makes no other difference.
///
/// ```
/// use plugway_sdk::{Prefetch, header};
/// # use plugway_sdk::testing;
///
/// // In `configure`:
/// let tenant = Prefetch::header(header::X_TENANT_ID)?;
/// # let request = testing::Request::get("/orders").header(header::X_TENANT_ID, "acme").build();
/// // In a hook:
/// assert_eq!(request.prefetched(&tenant).as_deref(), Some(&b"acme"[..]));
/// # assert_eq!(request.prefetched(&Prefetch::path()).as_deref(), Some(&b"/orders"[..]));
/// # Ok::<(), plugway_sdk::ChangeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Prefetch {
    fact: Fact,
    /// Whether it comes with the call.
    #[cfg(target_family = "wasm")]
    comes: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Header(HeaderName<'static>),
    Path,
}

impl Prefetch {
    /// The first value of a header. For `configure` alone, as its object is for the configuration that is being taken: kept in what is made of that, and not
    /// where another configuration may use it.
    ///
    /// # Errors
    /// When it is no header name.
    pub fn header<'n>(name: impl Into<HeaderName<'n>>) -> Result<Self, ChangeError> {
        let name = match name.into() {
            HeaderName::Known(number) => HeaderName::Known(number),
            HeaderName::Text(text) => HeaderName::numbered(text)?,
        };
        Ok(Self {
            #[cfg(target_family = "wasm")]
            comes: sys::configuring::prefetch_header(name.clone()).is_ok(),
            fact: Fact::Header(name),
        })
    }

    /// The normalised path. For `configure` alone, as [`header`](Self::header).
    pub fn path() -> Self {
        Self {
            #[cfg(target_family = "wasm")]
            comes: sys::configuring::prefetch_path().is_ok(),
            fact: Fact::Path,
        }
    }

    #[inline]
    pub(crate) fn fact(&self) -> &Fact {
        &self.fact
    }

    #[cfg(target_family = "wasm")]
    #[inline]
    pub(crate) fn comes(&self) -> bool {
        self.comes
    }
}

/// What was prefetched: bytes, since HTTP does not promise that a header is UTF-8 (RFC 9110, section 5.5).
#[derive(Clone)]
pub struct Prefetched(Bytes);

#[derive(Clone)]
enum Bytes {
    #[cfg(target_family = "wasm")]
    Short {
        length: u8,
        bytes: [u8; 40],
    },
    Owned(Vec<u8>),
}

impl Prefetched {
    #[cfg(target_family = "wasm")]
    #[inline]
    pub(crate) fn short(value: sys::types::ShortValue) -> Self {
        let (first, second, third, fourth, fifth) = value.words;
        let mut bytes = [0; 40];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip([first, second, third, fourth, fifth]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        Self(Bytes::Short { length: value.length, bytes })
    }

    /// As text, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(self).ok()
    }
}

impl Deref for Prefetched {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            #[cfg(target_family = "wasm")]
            Bytes::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or(bytes),
            Bytes::Owned(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Prefetched {
    fn from(value: Vec<u8>) -> Self {
        Self(Bytes::Owned(value))
    }
}

impl From<String> for Prefetched {
    fn from(value: String) -> Self {
        value.into_bytes().into()
    }
}

impl PartialEq for Prefetched {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Prefetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}
