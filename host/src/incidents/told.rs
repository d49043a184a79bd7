//! An incident in words, as the store keeps it and every reader shows it.

use plugway_analysis::{Incident as Found, Kind, Subject};
use serde_json::{Map, Value, json};

use super::watched::Watched;
use crate::report::time;
use crate::store::Incident;

/// What an incident is about is one thing, whatever else is said of it: kind, subject, route.
pub(super) type Key = (String, String, String);

/// An incident as the store keeps it.
pub(super) fn incident(found: &Found, watched: &Watched) -> Incident {
    let (kind, subject, route) = key(found);
    let (api, routes) = match &found.subject {
        Subject::Route(route) | Subject::Objective { route, .. } => (watched.api(route), vec![route.to_string()]),
        Subject::Endpoint { upstream, .. } => watched.served(|facts| facts.upstream.as_ref() == Some(upstream)),
        Subject::Plugin(plugin) => watched.served(|facts| facts.plugins.contains(plugin)),
        Subject::Consumer(_) | Subject::Certificate(_) => ("", Vec::new()),
    };
    let evidence: Map<_, _> = found.evidence.iter().map(|figure| (figure.what.to_owned(), figure.figure().into())).collect();
    Incident {
        kind,
        subject,
        api: api.to_owned(),
        route,
        routes,
        severity: found.severity.as_str().to_owned(),
        started: seconds(found.start.seconds()),
        ended: found.end.map(|(end, _)| seconds(end.seconds())),
        title: title(found),
        cause: found.cause.as_ref().map(ToString::to_string).unwrap_or_default(),
        evidence: Value::from(evidence).to_string(),
        outcome: found.end.map_or("", |(_, ended)| ended.as_str()).to_owned(),
    }
}

/// What an incident is about.
pub(super) fn key(found: &Found) -> Key {
    let (subject, route) = match &found.subject {
        Subject::Route(route) => (String::new(), route.to_string()),
        Subject::Objective { route, objective } => ((*objective).to_owned(), route.to_string()),
        Subject::Endpoint { upstream, endpoint } => (format!("{endpoint} of {upstream}"), String::new()),
        Subject::Plugin(name) | Subject::Consumer(name) | Subject::Certificate(name) => (name.to_string(), String::new()),
    };
    (found.kind.as_str().to_owned(), subject, route)
}

/// What one that is stored is about.
pub(super) fn key_of(incident: &Incident) -> Key {
    (incident.kind.clone(), incident.subject.clone(), incident.route.clone())
}

/// As `/status`, `/incidents` and `plugway incidents --format json` have it.
pub(super) fn json(number: i64, incident: &Incident) -> Value {
    let mut json = json!(incident);
    if let Some(members) = json.as_object_mut() {
        members.insert("number".to_owned(), number.into());
    }
    json
}

fn title(found: &Found) -> String {
    let figures: Vec<_> = found.evidence.iter().map(plugway_analysis::Evidence::figure).collect();
    let [now, before] = [0, 1].map(|index| figures.get(index).map_or("", String::as_str));
    let subject = &found.subject;
    match (found.kind, subject) {
        (Kind::ErrorRate, _) => format!("More requests of {subject} fail: {now}, {before} in the hour before"),
        (Kind::Latency, Subject::Plugin(_)) => format!("Calls of {subject} take longer: {now}, {before} in the hour before"),
        (Kind::Latency, _) => format!("Requests of {subject} take longer: {now}, {before} in the hour before"),
        (Kind::Endpoint, _) => format!("The {subject} is worse than its siblings: {now}, theirs {before}"),
        (Kind::PluginVersion, _) => format!("With a new version of {subject} it is worse: {now}, {before} in the hour before"),
        (Kind::ConsumerTraffic, _) => format!("The {subject} sends {now} requests a second, {before} in the hour before"),
        (Kind::Certificate, _) => {
            // What is left of it was so much when it was last measured: a page comes days after the ticket.
            let left = found.evidence.first().map_or(0.0, |left| left.value);
            format!("The {subject} is valid until {}", time::moment(seconds(found.measured.seconds()) + left as i64))
        }
        (Kind::SloBurn, _) => format!("The error budget for {subject} is used up {now} too fast"),
    }
}

fn seconds(since: u64) -> i64 {
    i64::try_from(since).unwrap_or(i64::MAX)
}
