//! From the gateway's JSON to a plugin's own type.

mod one_or_many;

use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::plugin::Plugin;

pub use one_or_many::one_or_many;

/// Makes the object of one place from the gateway's JSON. The error is for the operator and names the key.
pub(crate) fn configure<P: Plugin>(json: &str) -> Result<P, Error> {
    P::configure(read(json)?)
}

fn read<C: DeserializeOwned>(json: &str) -> Result<C, Error> {
    // By way of a tree: its errors do not name a line and column of text the operator never saw.
    let tree: serde_json::Value = serde_json::from_str(json)?;
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let path = error.path().to_string();
        let why = error.into_inner();
        if path == "." { why.to_string().into() } else { format!("`{path}`: {why}").into() }
    })
}

#[cfg(test)]
mod tests;
