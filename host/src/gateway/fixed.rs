//! What cannot change while a gateway runs: what was opened, bound or started once.

use std::collections::BTreeMap;

use crate::config::Problems;
use crate::config::model::{Config, Listener};

/// Every key of `next` that differs from what runs and would need a restart.
pub(super) fn differences(running: &Config, next: &Config) -> Problems {
    let mut problems = Problems::new(&next.file);
    let mut differs = |is_same: bool, key: &str| {
        if !is_same {
            let message = "this cannot change while the gateway runs";
            problems.push(next.problem(key, message).with_suggestion("restart to change it, or take it back"));
        }
    };
    differs(running.workers == next.workers, "workers");
    differs(running.cache_directory == next.cache_directory, "cache_directory");
    differs(running.state_directory == next.state_directory, "state_directory");
    differs(running.admin == next.admin, "admin");
    differs(running.limits.max_plugin_instances == next.limits.max_plugin_instances, "limits.max_plugin_instances");
    differs(running.log.level == next.log.level, "log.level");
    differs(running.log.format == next.log.format, "log.format");
    differs(format!("{:?}", running.otlp) == format!("{:?}", next.otlp), "otlp");
    differs(running.access_log.file == next.access_log.file, "access_log.file");
    // Where the state is says where the store is, unless it says so itself.
    differs(running.store == next.store || running.state_directory != next.state_directory, "store");
    let by_name = |config: &Config| -> BTreeMap<String, Listener> {
        config.listeners.iter().map(|listener| (listener.name.clone(), listener.clone())).collect()
    };
    let (before, after) = (by_name(running), by_name(next));
    for (name, listener) in &after {
        let is_same = before.get(name).is_some_and(|known| known.address == listener.address);
        differs(is_same, &format!("listen.{name}.address"));
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        differs(false, &format!("listen.{name}"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = r#"
workers = 2
cache_directory = "/c"
state_directory = "/s"
[listen.web]
address = "127.0.0.1:8080"
[upstreams.up]
endpoints = ["http://127.0.0.1:1"]
[[routes]]
name = "all"
public = true
upstream = "up"
"#;

    fn keys(next: &str) -> Vec<String> {
        let parse = |text: &str| crate::config::parse(text, Path::new("plugway.toml")).unwrap().config;
        differences(&parse(TEXT), &parse(next)).iter().map(|problem| problem.key.clone()).collect()
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        for (from, to, key) in [
            ("workers = 2", "workers = 3", "workers"),
            ("\"/c\"", "\"/d\"", "cache_directory"),
            ("\"/s\"", "\"/t\"", "state_directory"),
            ("8080", "8081", "listen.web.address"),
            ("[upstreams", "[admin]\naddress = \"127.0.0.1:9999\"\n[upstreams", "admin"),
            ("[upstreams", "[limits]\nmax_plugin_instances = 64\n[upstreams", "limits.max_plugin_instances"),
            ("[upstreams", "[log]\nlevel = \"debug\"\n[upstreams", "log.level"),
            ("[upstreams", "[log]\nformat = \"json\"\n[upstreams", "log.format"),
            ("[upstreams", "[access_log]\nfile = \"a.log\"\n[upstreams", "access_log.file"),
            ("[upstreams", "[otlp]\nendpoint = \"http://127.0.0.1:4318\"\n[upstreams", "otlp"),
            ("[upstreams", "[store]\nenabled = false\n[upstreams", "store"),
            ("[upstreams", "[listen.more]\naddress = \"127.0.0.1:1\"\n[upstreams", "listen.more.address"),
        ] {
            assert_eq!(keys(&TEXT.replacen(from, to, 1)), [key], "{to}");
        }
        assert_eq!(keys(&TEXT.replace("[listen.web]", "[listen.other]")), ["listen.other.address", "listen.web"]);
    }

    #[test]
    fn the_rest_may_change() {
        assert!(keys(TEXT).is_empty());
        assert!(keys(&TEXT.replace("127.0.0.1:1\"", "127.0.0.1:2\"")).is_empty());
        assert!(
            keys(
                &TEXT.replace(
                    "[upstreams",
                    "[access_log]\nenabled = false\n[tracing]\nsample = \"5%\"\n[limits]\nmax_headers = 9\n[upstreams"
                )
            )
            .is_empty()
        );
    }
}
