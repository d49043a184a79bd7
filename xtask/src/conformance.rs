//! `cargo xtask conformance`: proofs that take too long for the tests.

mod store_year;

pub(crate) use self::store_year::run as store_year;

use plugway_harness::{Error, Result};

use crate::workspace::{self, cargo};
use crate::{release, setup};

/// Weeks of simulated traffic through the analysis, with other seeds than its thresholds were chosen with. Prints a table, and fails where
/// an incident of some kind is too often missed or invented.
pub(crate) fn analysis() -> Result<()> {
    let test = ["test", "--locked", "-p", "plugway-analysis", "--test", "weeks"];
    // Both worlds: routes with an upstream each, and routes that share one.
    let which = ["--", "--ignored", "--nocapture", "--test-threads=1", "seeded_weeks"];
    workspace::run(&mut cargo(test.into_iter().chain(which)))
}

/// The whole-system tests on the gateway that is shipped, of which compilers and linkers are not all that had a hand in it.
pub(crate) fn release() -> Result<()> {
    setup::run()?;
    let gateway = release::shipped();
    if !gateway.is_file() {
        return Err(Error::new(format!("there is no {}: `cargo xtask release` makes it", gateway.display())));
    }
    // Without a package, so that nothing is compiled again with fewer features.
    let test = ["test", "--locked", "--test", "system"];
    workspace::run(cargo(test).env("PLUGWAY_UNDER_TEST", gateway))
}

/// An authorization server in trouble while a gateway is at work, at a thousand requests a second and for as long as it takes: a machine that
/// does something else meanwhile fails it.
pub(crate) fn oauth2() -> Result<()> {
    setup::run()?;
    let test = ["test", "--release", "--locked", "-p", "plugway", "--test", "system"];
    let which = ["oauth2::load", "--", "--ignored", "--nocapture", "--test-threads=1"];
    workspace::run(&mut cargo(test.into_iter().chain(which)))
}
