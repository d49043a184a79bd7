//! What a placement knows of an endpoint: a name that outlives its position and its id.

use std::collections::BTreeMap;

use plugway_sdk::Endpoint;

/// The label that gives an endpoint another name than `host:port`.
const NAME_LABEL: &str = "hash_name";

/// One member of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What is hashed: the endpoint's label `hash_name`, or else its `host:port`, an IPv6 address in brackets.
    pub name: String,
    /// Share of the keys relative to its siblings, 1 to 65535.
    pub weight: u16,
}

impl Member {
    /// Members of an upstream, in its order. Scheme, id and position are not part of a name, so none of them moves a key.
    /// Endpoints of the same name, e.g. with another scheme, are told apart as `host:port#2` and so on.
    pub fn of(endpoints: &[Endpoint]) -> Vec<Self> {
        let mut copies = BTreeMap::new();
        let member = |endpoint: &Endpoint| {
            let mut name = name(endpoint);
            let copy = copies.entry(name.clone()).and_modify(|copy| *copy += 1).or_insert(1_u32);
            if *copy > 1 {
                name.push_str(&format!("#{copy}"));
            }
            Self { name, weight: endpoint.weight.max(1) }
        };
        endpoints.iter().map(member).collect()
    }
}

fn name(endpoint: &Endpoint) -> String {
    let label = endpoint.labels.iter().find(|(label, value)| label == NAME_LABEL && !value.is_empty());
    match label {
        Some((_, name)) => name.clone(),
        None if endpoint.host.contains(':') => format!("[{}]:{}", endpoint.host, endpoint.port),
        None => format!("{}:{}", endpoint.host, endpoint.port),
    }
}

#[cfg(test)]
mod tests {
    use plugway_sdk::testing::endpoint;

    use super::*;

    fn names(endpoints: &[Endpoint]) -> Vec<String> {
        Member::of(endpoints).into_iter().map(|member| member.name).collect()
    }

    #[test]
    fn a_name_is_host_and_port() {
        let urls = ["http://10.0.0.1:8080", "http://api.example", "https://api.example", "http://[2001:db8::80]:81"];
        let endpoints = urls.map(|url| endpoint(7, url));
        assert_eq!(names(&endpoints), ["10.0.0.1:8080", "api.example:80", "api.example:443", "[2001:db8::80]:81"]);
    }

    #[test]
    fn a_label_gives_another_name() {
        let mut labelled = endpoint(1, "http://10.0.0.1:80");
        labelled.labels = vec![("zone".to_owned(), "a".to_owned()), ("hash_name".to_owned(), "old.example".to_owned())];
        let mut empty = endpoint(2, "http://10.0.0.2:80");
        empty.labels = vec![("hash_name".to_owned(), String::new())];
        assert_eq!(names(&[labelled, empty]), ["old.example", "10.0.0.2:80"]);
    }

    #[test]
    fn endpoints_of_one_name_are_told_apart() {
        let twins = [endpoint(1, "http://a:443"), endpoint(2, "http://b:443"), endpoint(3, "https://a:443")];
        assert_eq!(names(&twins), ["a:443", "b:443", "a:443#2"]);
    }
}
