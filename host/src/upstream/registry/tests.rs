use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::model::{Protocol, RetryOn};

const SECOND: Duration = Duration::from_secs(1);

/// An upstream with endpoints of these weights.
pub(in crate::upstream) fn model(weights: &[u16]) -> model::Upstream {
    let endpoints = weights.iter().enumerate().map(|(index, weight)| model::Endpoint {
        tls: false,
        host: format!("10.{}.{}.{}", index >> 16, index >> 8 & 255, index & 255),
        port: 80,
        weight: *weight,
        labels: Default::default(),
    });
    model::Upstream {
        name: "up".to_owned(),
        endpoints: endpoints.collect(),
        tls: TlsProfile::default(),
        tls_profiles: BTreeMap::default(),
        server_names: Vec::new(),
        protocol: Protocol::Http1,
        host: HostPolicy::Client,
        connect_timeout: SECOND,
        response_timeout: SECOND,
        stream_timeout: SECOND,
        idle_timeout: SECOND,
        max_idle_connections: 1,
        max_connections: 1,
        max_attempts: 1,
        retry_on: RetryOn::NOTHING,
    }
}

pub(in crate::upstream) fn assembled(model: &model::Upstream) -> Arc<Upstream> {
    Registry::new(1).assemble(model).unwrap()
}

fn ids(upstream: &Upstream) -> Vec<EndpointId> {
    upstream.endpoints.iter().map(|endpoint| endpoint.id).collect()
}

#[test]
fn an_endpoint_keeps_its_id_and_what_was_learned_of_it() {
    let mut registry = Registry::new(1);
    let mut model = model(&[1, 1, 1]);
    let before = registry.assemble(&model).unwrap();
    before.endpoints[2].answered_in(Duration::from_micros(700), Instant::now());
    let left = model.endpoints.remove(0);
    model.endpoints[0].weight = 7;
    let after = registry.assemble(&model).unwrap();
    assert_eq!(ids(&after), ids(&before)[1..]);
    assert_eq!((after.endpoints[0].weight, after.endpoints[1].state.latency_us()), (7, 700));
    assert!(after.find(ids(&before)[0]).is_none(), "it has left");
    // Back again it is the same one, and nobody had its id meanwhile.
    model.endpoints.push(left);
    let again = registry.assemble(&model).unwrap();
    assert_eq!(ids(&again)[2], ids(&before)[0]);
    assert!(again.find(ids(&before)[0]).is_some());
}

#[test]
fn ids_are_of_one_upstream() {
    let mut registry = Registry::new(1);
    let one = registry.assemble(&model(&[1, 1])).unwrap();
    let other = registry.assemble(&model::Upstream { name: "other".to_owned(), ..model(&[1, 1]) }).unwrap();
    assert!(ids(&other).iter().all(|id| one.find(*id).is_none()));
}

#[test]
fn an_endpoint_that_is_listed_twice_is_refused_by_its_place() {
    let mut twice = model(&[1, 1]);
    twice.endpoints[1].host = twice.endpoints[0].host.clone();
    let errors = Registry::new(1).assemble(&twice).unwrap_err();
    assert_eq!(errors.iter().map(|error| &*error.setting).collect::<Vec<_>>(), ["endpoints[1]"]);
    assert!(errors[0].problem.contains("http://10.0.0.0:80 is listed twice"), "{}", errors[0]);
}

#[test]
fn every_setting_that_cannot_be_used_is_told_at_once() {
    let mut wrong = model(&[1]);
    wrong.tls.ca = Some(PathBuf::from("/nowhere/ca.pem"));
    wrong.server_names = vec!["fine.example".to_owned(), "not a name".to_owned()];
    wrong.host = HostPolicy::Fixed("line\nend".to_owned());
    let errors = Registry::new(1).assemble(&wrong).unwrap_err();
    assert_eq!(errors.iter().map(|error| &*error.setting).collect::<Vec<_>>(), ["tls.ca", "server_names[1]", "host.fixed"]);
}

#[test]
fn the_schemes_own_port_is_left_out_of_host() {
    let mut model = model(&[1, 1, 1]);
    model.endpoints[1].port = 8080;
    model.endpoints[2].host = "2001:db8::1".to_owned();
    let hosts: Vec<_> = assembled(&model).endpoints.iter().map(|endpoint| endpoint.authority.clone()).collect();
    assert_eq!(hosts, ["10.0.0.0", "10.0.0.1:8080", "[2001:db8::1]"]);
}

#[test]
fn the_version_of_an_upstream_grows_with_its_members_and_with_nothing_else() {
    let mut registry = Registry::new(1);
    let mut model = model(&[1, 1]);
    let mut version = |model: &model::Upstream| registry.assemble(model).unwrap().version;
    assert_eq!((version(&model), version(&model)), (1, 1));
    model.max_attempts = 2;
    assert_eq!(version(&model), 1, "members are what they were");
    model.endpoints[0].weight = 7;
    assert_eq!((version(&model), version(&model)), (2, 2));
    let left = model.endpoints.remove(0);
    assert_eq!(version(&model), 3);
    // As it was before, and still a change.
    model.endpoints.insert(0, left);
    assert_eq!(version(&model), 4);
    model.name = "another".to_owned();
    assert_eq!(version(&model), 1);
}
