//! Log lines. They carry the plugin's name; text past 4096 bytes is cut, and lines past the plugin's rate are dropped and
//! counted. The macros ask first whether a line would be written, so a quiet level costs one call and no formatting.
//!
//! ```
//! # let tenant = "acme";
//! plugway_sdk::log::info!("tenant {tenant} is over its quota");
//! ```

pub use crate::bindings::imports::plugway::gateway::log::Level;
use crate::sys;

#[doc(inline)]
pub use crate::{__log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn};

/// Whether a line of this level would be written; ask before building a dear one.
pub fn enabled(level: Level) -> bool {
    sys::log::enabled(level)
}

/// Writes one line.
pub fn write(level: Level, message: &str) {
    sys::log::write(level, message);
}

/// Writes a line worth reading only while developing; takes the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($argument:tt)+) => { $crate::__log!(Debug, $($argument)+) };
}

/// Writes a line worth keeping; takes the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($argument:tt)+) => { $crate::__log!(Info, $($argument)+) };
}

/// Writes that something is not as it should be, and goes on; takes the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($argument:tt)+) => { $crate::__log!(Warn, $($argument)+) };
}

/// Writes that something failed; takes the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($argument:tt)+) => { $crate::__log!(Error, $($argument)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($argument:tt)+) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::write($crate::log::Level::$level, &::std::format!($($argument)+));
        }
    };
}
