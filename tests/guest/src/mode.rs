//! What the guest can be told to do.

use std::str::FromStr;

use serde::Deserialize;

macro_rules! modes {
    (
        plain { $($(#[$plain_doc:meta])* $plain:ident = $plain_name:literal,)* }
        counted { $($(#[$counted_doc:meta])* $counted:ident = $counted_name:literal or $default:literal,)* }
    ) => {
        /// What the guest does. `name:N` takes a number; without one the default counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
        #[serde(try_from = "String")]
        pub(crate) enum Mode {
            $($(#[$plain_doc])* $plain,)*
            $($(#[$counted_doc])* $counted(usize),)*
        }

        impl FromStr for Mode {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let (name, number) = match text.split_once(':') {
                    Some((name, number)) => (name, Some(number.parse().map_err(|_| format!("`{number}` is no number"))?)),
                    None => (text, None),
                };
                match (name, number) {
                    $(($plain_name, None) => Ok(Self::$plain),)*
                    $(($counted_name, number) => Ok(Self::$counted(number.unwrap_or($default))),)*
                    _ => Err(format!("`{text}` is no mode of this guest")),
                }
            }
        }
    };
}

modes! {
    plain {
        /// Nothing: let the request pass.
        #[default]
        Pass = "pass",
        /// Read `x-tenant-id` and set `x-plugin: on`.
        Mark = "mark",
        /// Copy `x-tenant-id` to `x-copy`, and the response's `content-type`.
        Copy = "copy",
        /// Set `x-version` to which build of this guest it is, on the way in and on the way out. Some builds are not made ready
        /// ([`made_ready`](crate::behaviour::made_ready)).
        Version = "version",
        /// As `version`; but versions from 900000 on trap, and those from 800000 on answer by themselves.
        ByVersion = "by-version",
        /// Do what the request's `x-misbehave` header says.
        ByHeader = "by-header",
        /// Set `x-plan` to `x-tenant-id` in the plan, and say that the plan holds for every request.
        KeepPlan = "keep-plan",
        /// Say of both filters that they have nothing to do.
        LeaveOut = "leave-out",
        /// Keep `accept` from clients.
        KeepAccept = "keep-accept",
        /// Let the request pass by a pass that nobody keeps: as `passed`, without `x-tenant-id` and with `x-by: pass`.
        ByPass = "by-pass",
        /// The same after as many headers as a hook may set.
        ByPassAfterMany = "by-pass-after-many",
        /// The same, with a header in it that nobody may set.
        ByPassForbidden = "by-pass-forbidden",
        /// Of a router: tell the log what headers each try sees.
        Lines = "lines",
        /// Ask who is calling, and leave it in `x-who`.
        Who = "who",
        /// Execute `unreachable`.
        Trap = "trap",
        /// Panic with a message.
        Panic = "panic",
        /// Return an error from the hook.
        Fail = "fail",
        /// Print to stdout and stderr, then pass.
        Print = "print",
        /// Never return.
        Loop = "loop",
        /// Set `x-changed` and remove `x-tenant-id`, then trap.
        ChangeThenTrap = "change-then-trap",
        /// Answer with status 99.
        BadStatus = "bad-status",
        /// Answer with a `content-length` of its own.
        RespondFraming = "respond-framing",
        /// Set `content-length`.
        ForbiddenHeader = "forbidden-header",
        /// Set a header with a line break in its value.
        InvalidHeader = "invalid-header",
        /// Leave `x-left: yes` for the response, or answer in its place.
        LeaveAndAnswer = "leave-and-answer",
        /// Leave `x-left: yes` for the response, or trap there.
        LeaveAndTrap = "leave-and-trap",
        /// Set a query that needs percent-encoding.
        BadQuery = "bad-query",
        /// Set the path to `/rewritten`.
        SetPath = "set-path",
        /// Set a path that is not in normal form.
        BadPath = "bad-path",
        /// Set the response's status to 418, the plan's scheme to `http`.
        Weaken = "weaken",
        /// Choose a TLS profile that no upstream lists.
        ForeignProfile = "foreign-profile",
        /// Choose a server name that no upstream lists.
        ForeignName = "foreign-name",
        /// Sleep by the operating system.
        Sleep = "sleep",
        /// Read a file.
        ReadFile = "read-file",
        /// Connect to an address.
        OpenSocket = "open-socket",
        /// Read the environment.
        Environment = "environment",
        /// Route to an endpoint that never was.
        StaleEndpoint = "stale-endpoint",
        /// Route to the first endpoint whose last outcome was good, available or not.
        Learn = "learn",
        /// Route to no endpoint, refuse the one chosen, be unavailable as an authorizer.
        Unavailable = "unavailable",
        /// Say nothing about who is calling.
        Abstain = "abstain",
        /// Refuse the configuration.
        RefuseConfigure = "refuse-configure",
        /// Trap while being configured.
        TrapInConfigure = "trap-in-configure",
    }
    counted {
        /// Burn N milliseconds.
        SpinMs = "spin-ms" or 5,
        /// Allocate and touch N bytes.
        Memory = "memory" or 1_048_576,
        /// Answer with a body of N bytes.
        Respond = "respond" or 2,
        /// Set N headers, `x-many-0` and so on.
        Headers = "headers" or 10,
        /// Set one header with a value of N bytes.
        HeaderBytes = "header-bytes" or 100,
        /// Set a path of N bytes.
        PathBytes = "path-bytes" or 100,
        /// Answer with N headers.
        RespondHeaders = "respond-headers" or 10,
        /// Leave an attribute of N bytes.
        AttributeBytes = "attribute-bytes" or 100,
        /// Grant one scope of N bytes, as an authorizer.
        IdentityBytes = "identity-bytes" or 100,
        /// Leave N metric series.
        Series = "series" or 10,
        /// Note N attributes and N events.
        Notes = "notes" or 3,
        /// Keep N names from clients: `x-kept-0` and so on.
        KeepFromClients = "keep-from-clients" or 1,
        /// Write N log lines.
        LogFlood = "log-flood" or 10_000,
        /// Write one log line of N bytes.
        LogBytes = "log-bytes" or 10_000,
        /// Burn N milliseconds while being configured.
        SlowConfigure = "slow-configure" or 200,
        /// Trap while being configured, from second N of Unix time on.
        ExpireAt = "expire-at" or 0,
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::Mode;

    #[test]
    fn reads_modes_with_and_without_a_number() {
        assert_eq!("trap".parse(), Ok(Mode::Trap));
        assert_eq!("memory:7".parse(), Ok(Mode::Memory(7)));
        assert_eq!("memory".parse(), Ok(Mode::Memory(1_048_576)));
        assert!("trap:7".parse::<Mode>().is_err());
        assert!("memory:x".parse::<Mode>().is_err());
        assert!("nothing".parse::<Mode>().is_err());
    }
}
