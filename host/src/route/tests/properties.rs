use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::oracle;
use super::*;

const HOSTS: [&str; 6] = ["a.b", "c.a.b", "b", "*.b", "*.a.b", "*.c.a.b"];
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "PUT"];
const HEADERS: [&str; 3] = ["x-a=1", "x-b", "x-c=2"];

fn path_pattern() -> impl Strategy<Value = String> {
    let segment = select(vec!["x", "y", "x,y", "x%2Cy", "{p}", "{q}"]);
    let end = select(vec!["", "", "/", "/*"]);
    (proptest::collection::vec(segment, 0..4), end).prop_map(|(segments, end)| {
        let path = segments.iter().map(|segment| format!("/{segment}")).collect::<String>() + end;
        if path.is_empty() { "/".to_owned() } else { path }
    })
}

fn any_route() -> impl Strategy<Value = Route> {
    (
        subsequence(HOSTS.to_vec(), 0..=2),
        proptest::collection::vec(path_pattern(), 0..3),
        subsequence(METHODS.to_vec(), 0..=2),
        prop_oneof![2 => Just(Vec::new()), 1 => subsequence(HEADERS.to_vec(), 0..=2)],
    )
        .prop_map(|(hosts, paths, methods, headers)| route(&methods.join(" "), &hosts.join(" "), &paths.join(" "), &headers.join(" ")))
}

fn any_request() -> impl Strategy<Value = (&'static str, String, &'static str, Vec<&'static str>)> {
    let host = select(vec!["a.b", "b", "c.a.b", "d.c.a.b", "z.b", "other", ".b"]);
    let segment = select(vec!["x", "y", "x,y", "x%2Cy", "z"]);
    let path = (proptest::collection::vec(segment, 0..5), any::<bool>()).prop_map(|(segments, slash)| {
        let path = segments.iter().map(|segment| format!("/{segment}")).collect::<String>();
        if slash || path.is_empty() { path + "/" } else { path }
    });
    let headers = subsequence(vec!["x-a=1", "x-a=2", "x-b=0", "x-c=2"], 0..=4);
    (host, path, select(vec!["GET", "HEAD", "POST", "DELETE"]), headers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn finds_what_the_oracle_finds(
        routes in proptest::collection::vec(any_route(), 1..12),
        requests in proptest::collection::vec(any_request(), 1..20),
    ) {
        // Of routes that match alike only the first stays, by the oracle's word; the table must agree that it is enough.
        let mut kept: Vec<Route> = Vec::new();
        for route in routes {
            if !kept.iter().any(|known| oracle::alike(known, &route)) {
                kept.push(route);
            }
        }
        let table = Table::build(&kept).map_err(|conflicts| TestCaseError::fail(format!("{conflicts:?}")))?;
        for (host, path, method, headers) in requests {
            let method: Method = method.parse().unwrap();
            let mut map = HeaderMap::new();
            for (name, value) in headers.iter().map(|header| header.split_once('=').unwrap()) {
                map.append(name, value.parse().unwrap());
            }
            let expected = oracle::find(&kept, host, &path, &method, &map);
            let found = match table.find(host, &path, &method, &map) {
                Outcome::Found(found) => {
                    for (_, value) in found.parameters(&path) {
                        prop_assert!(!value.is_empty());
                    }
                    Ok(found.route)
                }
                Outcome::MethodNotAllowed { allow } => Err(allow.to_str().unwrap().split(", ").map(str::to_owned).collect()),
                Outcome::NotFound => Err(Vec::new()),
            };
            prop_assert_eq!(found, expected, "{} {} {} {:?}", method, host, path, headers);
        }
    }

    #[test]
    fn refuses_exactly_the_pairs_that_match_alike(routes in proptest::collection::vec(any_route(), 1..8)) {
        let second: std::collections::BTreeSet<usize> = (0..routes.len())
            .filter(|second| routes[..*second].iter().any(|first| oracle::alike(first, &routes[*second])))
            .collect();
        let reported = match Table::build(&routes) {
            Ok(_) => Default::default(),
            Err(conflicts) => conflicts.iter().map(|conflict| {
                assert!(oracle::alike(&routes[conflict.first], &routes[conflict.second]));
                conflict.second
            }).collect(),
        };
        prop_assert_eq!(second, reported);
    }
}
