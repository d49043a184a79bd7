mod oracle;
mod properties;

use http::HeaderName;

use super::*;
use crate::config::model::{HeaderMatch, Match as Matches};

/// A path pattern as it stands in the configuration.
fn pattern(text: &str) -> PathPattern {
    let (text, prefix) = match text.strip_suffix("/*") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let segments = text.split('/').skip(1).map(|segment| match segment.strip_prefix('{') {
        Some(name) => Segment::Parameter(name.trim_end_matches('}').to_owned()),
        None => Segment::Literal(segment.to_owned()),
    });
    let segments = segments.collect();
    if prefix { PathPattern::Prefix(segments) } else { PathPattern::Exact(segments) }
}

fn host(text: &str) -> HostPattern {
    match text.strip_prefix("*.") {
        Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
        None => HostPattern::Exact(text.to_owned()),
    }
}

/// A route from lists separated by spaces, `GET POST`, `a.example *.b.example`, `/a /b/*`, `name=value other`.
fn route(methods: &str, hosts: &str, paths: &str, headers: &str) -> Route {
    let matches = Matches {
        hosts: hosts.split_whitespace().map(host).collect(),
        paths: paths.split_whitespace().map(pattern).collect(),
        methods: methods.split_whitespace().map(|method| method.parse().unwrap()).collect(),
        headers: headers.split_whitespace().map(header_match).collect(),
    };
    route_of(matches)
}

fn header_match(text: &str) -> HeaderMatch {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    HeaderMatch { name: HeaderName::try_from(name).unwrap(), value }
}

fn route_of(matches: Matches) -> Route {
    Route {
        name: String::new(),
        api: None,
        version: None,
        matches,
        public: true,
        chain: Vec::new(),
        router: None,
        forwarder: None,
        upstream: 0,
        max_attempts: None,
        retry_on: None,
        max_body_bytes: None,
        slo: None,
        key: String::new(),
    }
}

/// What a table says, in one line: `5 id=x`, `405 GET, HEAD` or `404`. A request is `METHOD host path [name=value ...]`.
fn ask(table: &Table, request: &str) -> String {
    let mut words = request.split_whitespace();
    let (method, host, path) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in words.map(|header| header.split_once('=').unwrap()) {
        headers.append(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    match table.find(host, path, &method.parse().unwrap(), &headers) {
        Outcome::Found(found) => {
            let parameters = found.parameters(path).map(|(name, value)| format!(" {name}={value}"));
            format!("{}{}", found.route, parameters.collect::<String>())
        }
        Outcome::MethodNotAllowed { allow } => format!("405 {}", allow.to_str().unwrap()),
        Outcome::NotFound => "404".to_owned(),
    }
}

#[test]
fn does_what_the_document_says() {
    let document = include_str!("../../../docs/routing.md");
    let rows = document
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`')).collect::<Vec<_>>());
    let (routes, requests): (Vec<_>, Vec<_>) = rows.filter(|row| !["route", "request"].contains(&row[1])).partition(|row| row.len() == 7);
    let table =
        Table::build(&routes.iter().map(|row| route(&row[2].replace(',', " "), row[3], row[4], row[5])).collect::<Vec<_>>()).unwrap();
    assert!(requests.len() >= 20);
    for row in requests {
        let answer = ask(&table, row[1]);
        let (first, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
        let named = match first.parse::<usize>() {
            Ok(index) if index < routes.len() => routes[index][1],
            _ => first,
        };
        assert_eq!(format!("{named} {rest}").trim(), row[2], "{}", row[1]);
    }
}

#[test]
fn an_empty_table_finds_nothing() {
    assert_eq!(ask(&Table::build(&[]).unwrap(), "GET a /"), "404");
}

#[test]
fn the_root_is_one_place_however_written() {
    let root = |segments| route_of(Matches { paths: vec![PathPattern::Exact(segments)], ..Matches::default() });
    let short = root(Vec::new());
    let long = root(vec![Segment::Literal(String::new())]);
    assert_eq!(ask(&Table::build(std::slice::from_ref(&short)).unwrap(), "GET a /"), "0");
    assert_eq!(ask(&Table::build(std::slice::from_ref(&long)).unwrap(), "GET a /"), "0");
    assert_eq!(ask(&Table::build(std::slice::from_ref(&long)).unwrap(), "GET a /x"), "404");
    assert_eq!(Table::build(&[short, long]).unwrap_err().len(), 1);
}

#[test]
fn a_prefix_takes_its_own_path_but_no_sibling() {
    let table = Table::build(&[route("", "", "/orders/*", "")]).unwrap();
    for path in ["/orders", "/orders/", "/orders/5", "/orders/5/6/7"] {
        assert_eq!(ask(&table, &format!("GET a {path}")), "0");
    }
    for path in ["/", "/order", "/orders5", "/Orders"] {
        assert_eq!(ask(&table, &format!("GET a {path}")), "404");
    }
}

#[test]
fn an_escaped_segment_cannot_avoid_its_route() {
    let table = Table::build(&[route("", "", "/a:b/*", ""), route("", "", "/x%2Cy", ""), route("", "", "/*", "")]).unwrap();
    assert_eq!(ask(&table, "GET h /a%3Ab/c"), "0");
    assert_eq!(ask(&table, "GET h /x,y"), "1");
    assert_eq!(ask(&table, "GET h /x%2Cy"), "1");
    assert_eq!(ask(&table, "GET h /other"), "2");
}

#[test]
fn a_dot_at_the_end_of_a_host_changes_nothing() {
    let table = Table::build(&[route("", "a.example", "", ""), route("", "*.a.example", "", ""), route("", "", "", "")]).unwrap();
    assert_eq!(ask(&table, "GET a.example. /"), "0");
    assert_eq!(ask(&table, "GET b.a.example. /"), "1");
    assert_eq!(ask(&table, "GET .a.example /"), "2");
    assert_eq!(ask(&table, "GET xa.example /"), "2");
    assert_eq!(ask(&table, "GET [::1] /"), "2");
}

#[test]
fn a_header_with_a_value_must_be_there_once() {
    let table = Table::build(&[route("", "", "/", "x-a=1"), route("", "", "/", "x-a"), route("", "", "/", "")]).unwrap();
    assert_eq!(ask(&table, "GET h / x-a=1"), "0");
    assert_eq!(ask(&table, "GET h / x-a=1 x-a=1"), "1");
    assert_eq!(ask(&table, "GET h / x-a=2"), "1");
    assert_eq!(ask(&table, "GET h /"), "2");
}

#[test]
fn head_prefers_the_route_that_lists_it() {
    let table = Table::build(&[route("", "", "/", ""), route("GET", "", "/", ""), route("HEAD", "", "/", "")]).unwrap();
    assert_eq!(ask(&table, "GET h /"), "1");
    assert_eq!(ask(&table, "HEAD h /"), "2");
    assert_eq!(ask(&table, "POST h /"), "0");
    let table = Table::build(&[route("", "", "/", ""), route("GET", "", "/", "")]).unwrap();
    assert_eq!(ask(&table, "HEAD h /"), "1");
}

#[test]
fn a_dead_end_goes_back_to_the_parameter() {
    let table = Table::build(&[route("", "", "/a/{x}/c", ""), route("", "", "/a/b/d", ""), route("", "", "/{y}/*", "")]).unwrap();
    assert_eq!(ask(&table, "GET h /a/b/c"), "0 x=b");
    assert_eq!(ask(&table, "GET h /a/b/d"), "1");
    assert_eq!(ask(&table, "GET h /a/b/e"), "2 y=a");
    assert_eq!(ask(&table, "GET h /a//c"), "2 y=a");
}

#[test]
fn many_parameters_keep_their_names() {
    let table = Table::build(&[route("", "", "/{a}/x/{b}/{c}/y/{d}", "")]).unwrap();
    assert_eq!(ask(&table, "GET h /1/x/2/3/y/4"), "0 a=1 b=2 c=3 d=4");
}

#[test]
fn reports_every_pair_that_matches_alike_once() {
    let conflicts = Table::build(&[
        route("GET POST", "a.example", "/orders/{id} /other", "x-b=1 x-a"),
        route("POST GET PUT", "b.example a.example", "/orders/{order}", "x-a x-b=1"),
        route("", "", "/*", ""),
        route("", "", "", ""),
        route("GET", "", "/*", ""),
        route("GET", "*.a.example", "/", ""),
        route("GET", "*.a.example", "/", ""),
    ])
    .unwrap_err();
    let pairs: Vec<_> = conflicts.iter().map(|conflict| (conflict.first, conflict.second)).collect();
    assert_eq!(pairs, [(0, 1), (2, 3), (5, 6)]);
    assert_eq!(
        conflicts[0].to_string(),
        "two routes take method `POST`, host `a.example`, path `/orders/{order}`, header `x-a`, header `x-b: 1`"
    );
    assert_eq!(conflicts[1].what, "every method, every host, path `/*`");
    assert_eq!(conflicts[2].what, "method `GET`, host `*.a.example`, path `/`");
}

#[test]
fn one_route_may_name_a_place_twice() {
    let table = Table::build(&[route("GET GET", "", "/{a} /{b}", "")]).unwrap();
    assert_eq!(ask(&table, "GET h /1"), "0 a=1");
}

#[test]
fn a_path_far_deeper_than_any_pattern_is_no_work() {
    let table = Table::build(&[route("", "", "/a/{b}/*", "")]).unwrap();
    let path = format!("/a{}", "/x".repeat(100_000));
    assert!(matches!(table.find("h", &path, &Method::GET, &HeaderMap::new()), Outcome::Found(_)));
}
