//! Path patterns. What is written must be in normal form, as every path is that is matched: a pattern in another form would
//! never match, or not what it seems to.

use super::endpoint::Wrong;
use crate::config::model::{PathPattern, Segment};
use crate::http::path::normalise;

/// `/orders`, `/orders/{id}`, `/orders/*`.
pub(super) fn parse(text: &str) -> Result<PathPattern, Wrong> {
    let Some(inner) = text.strip_prefix('/') else {
        let help = match text.split_once("://") {
            Some((_, rest)) => {
                format!("write `{}`; the host has a key of its own", rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/"))
            }
            None if text.starts_with(['~', '^', '.', '(']) => {
                "paths are no regular expressions: write `/orders/{id}` or `/orders/*`".to_owned()
            }
            None => format!("write `/{text}`"),
        };
        return Err((format!("{text:?} does not begin with `/`"), help));
    };
    let (inner, prefix) = match inner.strip_suffix('*') {
        Some("") => return Ok(PathPattern::Prefix(Vec::new())),
        Some(rest) => match rest.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => {
                let rest = rest.trim_end_matches('*').trim_end_matches('/');
                let (below, of) =
                    if rest.is_empty() { (String::new(), "the root".to_owned()) } else { (format!("/{rest}"), format!("`/{rest}`")) };
                return Err((
                    format!("the `*` in {text:?} is only a part of its segment"),
                    format!("write `{below}/*` for everything below {of}"),
                ));
            }
        },
        None => (inner, false),
    };
    let mut segments = Vec::new();
    for raw in inner.split('/') {
        let segment = segment(raw).map_err(|(message, help)| (format!("{message} in {text:?}"), help))?;
        if let Segment::Parameter(name) = &segment
            && segments.contains(&segment)
        {
            return Err((
                format!("the parameter `{{{name}}}` stands twice in {text:?}"),
                "give each parameter a name of its own".to_owned(),
            ));
        }
        segments.push(segment);
    }
    normal(&segments, prefix).map_err(|(message, help)| (format!("{text:?}: {message}"), help))?;
    Ok(if prefix { PathPattern::Prefix(segments) } else { PathPattern::Exact(segments) })
}

fn segment(raw: &str) -> Result<Segment, Wrong> {
    if raw.contains('*') {
        return Err((
            "a `*` that is not at the end".to_owned(),
            "write `{name}` for any one segment, `/*` at the end for whatever follows, or `%2A` for a real `*`".to_owned(),
        ));
    }
    if !raw.contains(['{', '}']) {
        return Ok(Segment::Literal(raw.to_owned()));
    }
    let whole = raw.strip_prefix('{').and_then(|raw| raw.strip_suffix('}'));
    let good = |name: &&str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
            && name.bytes().next().is_some_and(|first| !first.is_ascii_digit() && first != b'-')
    };
    match whole.filter(good) {
        Some(name) => Ok(Segment::Parameter(name.to_owned())),
        None if whole.is_none_or(|name| name.contains(['{', '}'])) => Err((
            format!("`{raw}` is only partly a parameter"),
            "a parameter is a whole segment, such as `/{id}`; write `%7B` and `%7D` for real braces".to_owned(),
        )),
        None => Err((
            format!("`{raw}` is no parameter"),
            "names have letters, digits, `_` and `-`, and begin with a letter or `_`, such as `{id}`".to_owned(),
        )),
    }
}

/// Holds a pattern against the normal form of paths; parameters stand aside as plain text.
fn normal(segments: &[Segment], prefix: bool) -> Result<(), Wrong> {
    let stand_in = |index: usize| format!("~parameter~{index}~");
    let mut path = String::new();
    for (index, segment) in segments.iter().enumerate() {
        path.push('/');
        match segment {
            Segment::Literal(literal) => path.push_str(literal),
            Segment::Parameter(_) => path.push_str(&stand_in(index)),
        }
    }
    // As it is written, so that `//` at the end is seen.
    path.push_str(if prefix { "/" } else { "" });
    let back = |normal: &str| {
        let mut shown = normal.to_owned();
        for (index, segment) in segments.iter().enumerate() {
            if let Segment::Parameter(name) = segment {
                shown = shown.replace(&stand_in(index), &format!("{{{name}}}"));
            }
        }
        format!("{shown}{}", if prefix { "*" } else { "" })
    };
    match normalise(&path) {
        Ok(normal) if normal == path => Ok(()),
        Ok(normal) => {
            Err(("this is not the normal form of paths, so it would never match".to_owned(), format!("write `{}`", back(&normal))))
        }
        Err(fault) => {
            if let Some((before, _)) = path.split_once(['?', '#']) {
                return Err((
                    fault.to_string(),
                    format!("write `{}`; queries take no part in choosing a route", back(before).trim_end_matches('*')),
                ));
            }
            let escaped: String = path
                .bytes()
                .map(|byte| if byte > b' ' && byte < 0x7F { char::from(byte).to_string() } else { format!("%{byte:02X}") })
                .collect();
            let help = match normalise(&escaped) {
                Ok(normal) => format!("write `{}`", back(&normal)),
                Err(_) => "requests with such a path are refused with a 400, so no route can take them".to_owned(),
            };
            Err((fault.to_string(), help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PathPattern, Segment, parse};

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.to_owned())
    }

    #[test]
    fn patterns() {
        let id = Segment::Parameter("id".to_owned());
        assert_eq!(parse("/"), Ok(PathPattern::Exact(vec![literal("")])));
        assert_eq!(parse("/*"), Ok(PathPattern::Prefix(vec![])));
        assert_eq!(parse("/a/"), Ok(PathPattern::Exact(vec![literal("a"), literal("")])));
        assert_eq!(parse("/a/*"), Ok(PathPattern::Prefix(vec![literal("a")])));
        assert_eq!(parse("/a/{id}/*"), Ok(PathPattern::Prefix(vec![literal("a"), id.clone()])));
        assert_eq!(parse("/{id}/%C3%BC"), Ok(PathPattern::Exact(vec![id, literal("%C3%BC")])));
    }

    #[test]
    fn what_could_never_match_is_refused_with_what_could() {
        let cases = [
            ("orders/*", "write `/orders/*`"),
            ("/orders*", "write `/orders/*` for everything below `/orders`"),
            ("/a//b", "write `/a/b`"),
            ("/a//*", "write `/a/*`"),
            ("/a/../{id}", "write `/{id}`"),
            ("/%61", "write `/a`"),
            ("/%c3%bc", "write `/%C3%BC`"),
            ("/ü/{id}/*", "write `/%C3%BC/{id}/*`"),
            ("/a b", "write `/a%20b`"),
            ("/a;b", "requests with such a path are refused with a 400, so no route can take them"),
            ("/{a}/{a}", "give each parameter a name of its own"),
            ("/a/*/b", "write `{name}` for any one segment, `/*` at the end for whatever follows, or `%2A` for a real `*`"),
        ];
        for (text, help) in cases {
            assert_eq!(parse(text).unwrap_err().1, help, "{text}");
        }
        for text in ["", "a", "/**", "/{", "/}", "/{}", "/{a}b", "/{a}{b}", "/{1}", "/a?b", "/a#b", "/%2F", "/..", "/{a b}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
