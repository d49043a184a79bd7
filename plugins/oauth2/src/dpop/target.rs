//! Whether a proof is for the URL of a request: `htu` without query and fragment, compared as RFC 3986 normalises (RFC 9449, section 4.3,
//! number 9).

use plugway_sdk::Request;

use crate::url::{Url, canonical_authority};

/// `origin` is what clients know this gateway by, where it is not what they ask for.
pub(super) fn is_same(target: &str, request: &Request<'_>, origin: Option<&str>) -> bool {
    let Some(url) = Url::parse(target) else { return false };
    let is_origin = match origin {
        Some(origin) => url.origin() == origin,
        None => {
            let is_https = request.scheme() == "https";
            url.is_https == is_https && canonical_authority(&request.authority(), is_https).as_ref() == Some(&url.authority)
        }
    };
    // What was sent, or the normal form of it, which is what is decided on: both name the same resource.
    is_origin && (url.path == request.path() || url.path == request.raw_path())
}
