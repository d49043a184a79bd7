//! What a token that passed is worth to a request: made once, given out as often as the token is good.

use plugway_sdk::Identity;

use crate::binding::Binding;
use crate::claims::Lifetime;

/// Everything a request with the token needs.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Judged at each use.
    pub(crate) lifetime: Lifetime,
    /// Checked at each use.
    pub(crate) binding: Binding,
    /// Values of `claims_as_headers`, in the order of the configuration.
    pub(crate) headers: Vec<Option<String>>,
    /// Copies of it are given away.
    pub(crate) identity: Identity,
}

impl Pass {
    /// Bytes it holds in the plugin's memory, beside its own size.
    pub(crate) fn bytes(&self) -> usize {
        self.headers.iter().map(|text| size_of::<Option<String>>() + text.as_ref().map_or(0, String::len)).sum()
    }
}
