//! What a placement knows of an endpoint: a name that outlives its position and its id.

use std::collections::BTreeMap;

use plugway_sdk::Endpoint;

/// One member of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `host:port`; an IPv6 address is in brackets, the port is there even where the configuration leaves it out.
    pub name: String,
    /// The name's host.
    pub host: String,
    /// The port as the endpoint's url has it: empty where it has none. nginx hashes this one.
    pub written_port: String,
    /// Share of the keys relative to its siblings, 1 to 65535.
    pub weight: u16,
}

impl Member {
    /// Members of an upstream, in its order. Scheme, id, position and labels are not part of a name, so none of them moves a
    /// key. Endpoints with the same host and port, e.g. with another scheme, are told apart as `host:port#2` and so on.
    pub fn of(endpoints: &[Endpoint]) -> Vec<Self> {
        let mut copies = BTreeMap::new();
        let name = |endpoint: &Endpoint| {
            let mut member = Self::from(endpoint);
            let copy = copies.entry(member.name.clone()).and_modify(|copy| *copy += 1).or_insert(1_u32);
            if *copy > 1 {
                let suffix = format!("#{copy}");
                member.name.push_str(&suffix);
                member.written_port.push_str(&suffix);
            }
            member
        };
        endpoints.iter().map(name).collect()
    }
}

impl From<&Endpoint> for Member {
    fn from(endpoint: &Endpoint) -> Self {
        let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
        let port = endpoint.port.to_string();
        let written = endpoint.url.rsplit_once(':').is_some_and(|(_, written)| written.trim_end_matches('/') == port);
        Self {
            name: format!("{host}:{port}"),
            host,
            written_port: if written { port } else { String::new() },
            weight: endpoint.weight.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use plugway_sdk::testing::endpoint;

    use super::*;

    fn name(url: &str) -> (String, String) {
        let member = Member::from(&endpoint(7, url));
        (member.name, member.written_port)
    }

    #[test]
    fn a_name_is_host_and_port() {
        assert_eq!(name("http://10.0.0.1:8080"), ("10.0.0.1:8080".to_owned(), "8080".to_owned()));
        assert_eq!(name("http://api.example"), ("api.example:80".to_owned(), String::new()));
        assert_eq!(name("https://api.example"), ("api.example:443".to_owned(), String::new()));
        assert_eq!(name("http://[2001:db8::80]:80"), ("[2001:db8::80]:80".to_owned(), "80".to_owned()));
        assert_eq!(name("http://[2001:db8::80]"), ("[2001:db8::80]:80".to_owned(), String::new()));
    }

    #[test]
    fn endpoints_of_one_name_are_told_apart() {
        let twins = [endpoint(1, "http://a:443"), endpoint(2, "http://b:443"), endpoint(3, "https://a:443")];
        let names: Vec<_> = Member::of(&twins).into_iter().map(|member| member.name).collect();
        assert_eq!(names, ["a:443", "b:443", "a:443#2"]);
    }
}
