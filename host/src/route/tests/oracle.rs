//! The rules of `docs/routing.md`, written down once more as slowly and plainly as possible.

use std::cmp::Reverse;

use http::{HeaderMap, Method};

use crate::config::model::{HostPattern, PathPattern, Route, Segment};
use crate::http::path::decode_segment;

/// A path pattern as it is compared: parameters without names, `/` as one empty segment.
type Shape = (Vec<Option<Vec<u8>>>, bool);

fn shape(path: &PathPattern) -> Shape {
    let (PathPattern::Exact(segments) | PathPattern::Prefix(segments)) = path;
    let mut shape: Vec<_> = segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => Some(decode_segment(text).into_owned()),
            Segment::Parameter(_) => None,
        })
        .collect();
    let prefix = matches!(path, PathPattern::Prefix(_));
    if shape.is_empty() && !prefix {
        shape.push(Some(Vec::new()));
    }
    (shape, prefix)
}

/// Every place a route stands at.
fn places(route: &Route) -> Vec<(Option<HostPattern>, Shape)> {
    let hosts: Vec<_> = if route.matches.hosts.is_empty() { vec![None] } else { route.matches.hosts.iter().cloned().map(Some).collect() };
    let paths = if route.matches.paths.is_empty() { vec![PathPattern::Prefix(Vec::new())] } else { route.matches.paths.clone() };
    hosts.iter().flat_map(|host| paths.iter().map(|path| (host.clone(), shape(path)))).collect()
}

fn takes_host(pattern: &Option<HostPattern>, host: &str) -> bool {
    match pattern {
        None => true,
        Some(HostPattern::Exact(name)) => name == host,
        Some(HostPattern::Wildcard(suffix)) => {
            host.strip_suffix(suffix.as_str()).is_some_and(|labels| labels.ends_with('.') && labels.len() > 1)
        }
    }
}

fn takes_path((segments, prefix): &Shape, path: &str) -> bool {
    let request: Vec<_> = path.split('/').skip(1).map(|segment| decode_segment(segment).into_owned()).collect();
    let length = if *prefix { request.len() >= segments.len() } else { request.len() == segments.len() };
    length
        && segments.iter().zip(&request).all(|(pattern, segment)| match pattern {
            Some(literal) => literal == segment,
            None => !segment.is_empty(),
        })
}

fn takes_headers(route: &Route, headers: &HeaderMap) -> bool {
    route.matches.headers.iter().all(|wanted| {
        let lines: Vec<_> = headers.get_all(&wanted.name).iter().collect();
        match &wanted.value {
            None => !lines.is_empty(),
            Some(value) => lines.len() == 1 && lines[0].as_bytes() == value.as_bytes(),
        }
    })
}

/// Smaller is more specific.
fn order((host, (segments, prefix)): &(Option<HostPattern>, Shape)) -> (u8, Reverse<usize>, Vec<u8>) {
    let (class, length) = match host {
        Some(HostPattern::Exact(_)) => (0, 0),
        Some(HostPattern::Wildcard(suffix)) => (1, suffix.len()),
        None => (2, 0),
    };
    let mut path: Vec<u8> = segments.iter().map(|segment| if segment.is_some() { 0 } else { 1 }).collect();
    if *prefix {
        path.push(2);
    }
    (class, Reverse(length), path)
}

/// `Ok(route)`, or the methods of a 405, or nothing at all.
pub(super) fn find(routes: &[Route], host: &str, path: &str, method: &Method, headers: &HeaderMap) -> Result<usize, Vec<String>> {
    let mut all: Vec<_> =
        routes.iter().flat_map(places).filter(|(pattern, shape)| takes_host(pattern, host) && takes_path(shape, path)).collect();
    all.sort_by_key(order);
    for place in all {
        let here: Vec<usize> = (0..routes.len()).filter(|index| places(&routes[*index]).contains(&place)).collect();
        let mut open: Vec<usize> = here.iter().copied().filter(|index| takes_headers(&routes[*index], headers)).collect();
        if open.is_empty() {
            continue;
        }
        let lists = |index: usize, method: &Method| routes[index].matches.methods.contains(method);
        let class = |index: usize| match () {
            () if lists(index, method) => 0,
            () if *method == Method::HEAD && lists(index, &Method::GET) => 1,
            () if routes[index].matches.methods.is_empty() => 2,
            () => 3,
        };
        open.retain(|index| class(*index) < 3);
        open.sort_by_key(|index| {
            let wanted = &routes[*index].matches.headers;
            (Reverse(wanted.len()), Reverse(wanted.iter().filter(|header| header.value.is_some()).count()), class(*index), *index)
        });
        return open.first().copied().ok_or_else(|| {
            let mut allow: Vec<String> = here.iter().flat_map(|index| &routes[*index].matches.methods).map(ToString::to_string).collect();
            if allow.contains(&"GET".to_owned()) {
                allow.push("HEAD".to_owned());
            }
            allow.sort();
            allow.dedup();
            allow
        });
    }
    Err(Vec::new())
}

/// Whether two routes match alike.
pub(super) fn alike(one: &Route, other: &Route) -> bool {
    let headers = |route: &Route| {
        let mut headers: Vec<_> = route.matches.headers.iter().map(|header| (header.name.to_string(), header.value.clone())).collect();
        headers.sort();
        headers
    };
    let (methods, others) = (&one.matches.methods, &other.matches.methods);
    let common = methods.iter().any(|method| others.contains(method)) || methods.is_empty() && others.is_empty();
    common && headers(one) == headers(other) && places(one).iter().any(|place| places(other).contains(place))
}
