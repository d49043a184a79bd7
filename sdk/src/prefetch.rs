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
    /// The configuration whose calls it comes with.
    #[cfg(target_family = "wasm")]
    comes_to: Option<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Header(HeaderName<'static>),
    Path,
}

impl Prefetch {
    /// The first value of a header. It comes with the calls of the configuration that is being taken; with others, and where none is, it is asked for.
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
            comes_to: taken::configuration().filter(|_| sys::configuring::prefetch_header(name.clone()).is_ok()),
            fact: Fact::Header(name),
        })
    }

    /// The normalised path; otherwise as [`header`](Self::header).
    pub fn path() -> Self {
        Self {
            #[cfg(target_family = "wasm")]
            comes_to: taken::configuration().filter(|_| sys::configuring::prefetch_path().is_ok()),
            fact: Fact::Path,
        }
    }

    #[inline]
    pub(crate) fn fact(&self) -> &Fact {
        &self.fact
    }

    /// Whether it comes with calls of that configuration: another one may have named something else.
    #[cfg(target_family = "wasm")]
    #[inline]
    pub(crate) fn comes_to(&self, configuration: u32) -> bool {
        self.comes_to == Some(configuration)
    }
}

/// Which configuration is being taken.
#[cfg(target_family = "wasm")]
pub(crate) mod taken {
    use std::cell::Cell;

    thread_local! {
        static TAKEN: Cell<Option<u32>> = const { Cell::new(None) };
    }

    pub(super) fn configuration() -> Option<u32> {
        TAKEN.get()
    }

    /// Takes one.
    pub(crate) fn during<R>(configuration: u32, configure: impl FnOnce() -> R) -> R {
        TAKEN.set(Some(configuration));
        let taken = configure();
        TAKEN.set(None);
        taken
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
