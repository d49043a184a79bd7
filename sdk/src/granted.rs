//! What a plugin can do without. To call one of these says so: the gateway then loads the plugin without the grant too, and one that
//! calls the capability alone it does not.
//!
//! Ask in `configure`, and refuse there what needs a capability that is not there: using it would trap.

use crate::sys;

/// Whether [`kv`](crate::kv) was granted.
pub fn kv() -> bool {
    sys::granted::kv()
}

/// Whether [`rate_limit`](crate::rate_limit) was granted.
pub fn rate_limit() -> bool {
    sys::granted::rate_limit()
}

/// Whether any of [`secrets`](crate::secrets) was granted.
pub fn secrets() -> bool {
    sys::granted::secrets()
}

/// Whether [`http_client`](crate::http_client) was granted.
pub fn http_client() -> bool {
    sys::granted::http_client()
}

/// Whether any of [`keys`](crate::keys) was granted.
pub fn keys() -> bool {
    sys::granted::keys()
}
