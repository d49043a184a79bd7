//! The sentences at the top of a page, held against the store.

use rusqlite::Connection;

use super::shown::{figure, span};
use super::{derive, number, texts, when};

/// What stands before, between and after these words, which are there in this order.
fn between<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    let mut rest = text;
    let mut found = Vec::new();
    for word in words {
        let (before, after) = rest.split_once(word).unwrap_or_else(|| panic!("{word:?} is not in {text:?}"));
        found.push(before);
        rest = after;
    }
    found.push(rest);
    found
}

/// A figure as people read it is what was derived.
pub(super) fn near(shown: &str, derived: f64) {
    let (value, off) = figure(shown).unwrap_or_else(|| panic!("{shown:?} is no figure"));
    assert!((value - derived).abs() <= off + derived.abs() * 1e-9, "{shown:?}, derived {derived}");
}

/// All of them, in their order, of a page about the routes that `of` names.
pub(super) fn is_right(page: &str, store: &Connection, of: &str) {
    let (_, from) = page.split_once("<p class=\"short\">").unwrap();
    let text = from.split("</p>").next().unwrap();
    let mut sentences = text.strip_suffix('.').unwrap().split(". ");
    let mut next = |words: &[&str]| between(sentences.next().unwrap_or_else(|| panic!("{words:?} is not in {text:?}")), words);
    let derived = derive(store, "route", of);

    let [requests, length, good, ""] = next(&[" requests in ", ", ", " answered without a server error"])[..] else { panic!("{text}") };
    near(requests, derived.requests);
    near(good, 1.0 - derived.server / derived.requests);
    let [from, until] = when(page, store);
    let (seconds, last) = span(length).unwrap();
    assert!((seconds..seconds + last).contains(&((until - from) as f64)), "{length}");

    let ["", half, nearly_all] = next(&["Half took less than ", ", 99 of 100 less than "])[..] else { panic!("{text}") };
    near(half, derived.bins.quantile(0.5).unwrap());
    near(nearly_all, derived.bins.quantile(0.99).unwrap());

    let routes = texts(
        store,
        &format!(
            "SELECT r.route, sum(m.requests) FROM route_minute m JOIN routes r ON r.id = m.route WHERE {of} AND r.route <> 'none' \
             GROUP BY m.route ORDER BY 2 DESC"
        ),
    );
    if routes.len() > 1 {
        let words = ["The busiest of ", " routes is ", " with ", " of the requests"];
        let ["", count, name, share, ""] = next(&words)[..] else { panic!("{text}") };
        assert_eq!((count, name), (routes.len().to_string().as_str(), routes[0][0].as_str()));
        near(share, number(&routes[0][1]) / derived.requests);
    }
    if page.contains("Gateway report") {
        let [share, ""] = next(&[" matched no route"])[..] else { panic!("{text}") };
        near(share, derive(store, "route", "r.route = 'none'").requests / derived.requests);
    }
    let slos = texts(store, "SELECT count(*), sum(total - good > (1 - objective) * total) FROM slos").remove(0);
    assert_ne!(slos[1], "0", "some budget is overspent");
    let ["", all, overspent, ""] = next(&["Of ", " objectives ", " have overspent their budget"])[..] else { panic!("{text}") };
    assert_eq!([all, overspent], [slos[0].as_str(), slos[1].as_str()]);
    let incidents = texts(store, "SELECT count(*), sum(severity = 'page') FROM incidents").remove(0);
    let [all, pages, ""] = next(&[" incidents were found, ", " of them to page for"])[..] else { panic!("{text}") };
    assert_eq!([all, pages], [incidents[0].as_str(), incidents[1].as_str()]);
    assert_eq!(sentences.next(), None, "nothing else is said");
}
