//! Rust source as text: what of it is code, which of that is there outside of tests, the modules it names, and the lints it lets pass.

use std::collections::BTreeSet;

/// The code, with blanks for comments and for what stands in quotes.
pub(super) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let blank = blank(rest, before);
        let (part, after) = rest.split_at(blank.unwrap_or(first.len_utf8()));
        match blank {
            Some(_) => code.extend(part.chars().map(|char| if char == '\n' { char } else { ' ' })),
            None => code.push(first),
        }
        before = if blank.is_some() { ' ' } else { first };
        rest = after;
    }
    code
}

/// Bytes of the comment or literal that begins here.
fn blank(rest: &str, before: char) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if !is_word(before)
        && let Some(length) = raw_string(rest)
    {
        return Some(length);
    }
    let inner = |quote: char| {
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => {
                    chars.next();
                }
                _ if char == quote => return at + char.len_utf8(),
                _ => {}
            }
        }
        rest.len()
    };
    let mut chars = rest.chars();
    match (chars.next()?, chars.next(), chars.next()) {
        ('"', ..) => Some(inner('"')),
        // What is in quotes on both sides is a character, and a lifetime otherwise.
        ('\'', Some('\\'), _) | ('\'', Some(_), Some('\'')) => Some(inner('\'')),
        _ => None,
    }
}

/// Comments may hold comments.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn raw_string(rest: &str) -> Option<usize> {
    let opened =
        ["r", "br", "cr"].into_iter().find_map(|prefix| rest.strip_prefix(prefix).filter(|opened| opened.starts_with(['#', '"'])))?;
    let inside = opened.trim_start_matches('#').strip_prefix('"')?;
    let hashes = opened.len() - inside.len() - 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let closed = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(rest.len() - inside.len() + closed)
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The words of some code.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|char| !is_word(char)).filter(|word| !word.is_empty())
}

/// What is between the bracket that this begins with and the one that closes it.
fn enclosed(code: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, char) in code.char_indices() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return code.get(1..at);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The code that is there outside of tests: without each item, field, variant, arm or statement that is marked as theirs, and with all that follows it.
pub(super) fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, marked)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        rest = &marked[marked_length(marked)..];
    }
    kept.push_str(rest);
    kept
}

/// Bytes of what an attribute is on, further attributes included. Where that cannot be told without parsing, as behind a `<` that is no bracket, less is left out
/// rather than more.
fn marked_length(code: &str) -> usize {
    let mut start = 0;
    loop {
        let after = code[start..].trim_start();
        let Some(attribute) = after.strip_prefix('#').and_then(enclosed) else { break };
        start = code.len() - after.len() + attribute.len() + "#[]".len();
    }
    let (mut depth, mut angles, mut before) = (0_usize, 0_usize, ' ');
    for (at, char) in code.char_indices().skip_while(|(at, _)| *at < start) {
        match (char, depth) {
            ('(' | '[' | '{', _) => depth += 1,
            // The end of what it stands in.
            (')' | ']' | '}', 0) => return at,
            ('}', 1) => return at + 1,
            (')' | ']' | '}', _) => depth -= 1,
            (';', 0) => return at + 1,
            (',', 0) if angles == 0 => return at + 1,
            ('<', 0) => angles += 1,
            // An arm's pattern has ended, and there are no types behind it.
            ('>', 0) if before == '=' => angles = 0,
            ('>', 0) if before != '-' => angles = angles.saturating_sub(1),
            _ => {}
        }
        before = char;
    }
    code.len()
}

/// Modules named after `crate::`, in braces and braces in them too.
pub(super) fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        // A macro's `$crate` is the crate it is used in.
        if !code[..at].ends_with(|char| is_word(char) || char == '$') {
            first_segments(&code[at + path.len()..], &mut found);
        }
    }
    found
}

fn first_segments(tree: &str, found: &mut BTreeSet<String>) {
    let tree = tree.trim_start();
    let Some(list) = tree.starts_with('{').then(|| enclosed(tree)).flatten() else {
        found.insert(tree.chars().take_while(|char| is_word(*char)).collect());
        return;
    };
    let mut depth = 0_usize;
    let branches = list.split(|char| {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        char == ',' && depth == 0
    });
    branches.filter(|branch| !branch.trim().is_empty()).for_each(|branch| first_segments(branch, found));
}

/// Whether an attribute lets a lint pass that is denied, however its lines are broken and whatever else it names.
pub(super) fn lets_pass(code: &str, lint: &str) -> bool {
    let attributes = code.match_indices('#').filter_map(|(at, _)| {
        let after = code[at + 1..].trim_start();
        enclosed(after.strip_prefix('!').unwrap_or(after).trim_start())
    });
    let mut lists =
        attributes.flat_map(|attribute| ["allow", "expect", "warn"].into_iter().flat_map(move |level| lists_of(attribute, level)));
    lists.any(|list| words(list).any(|word| word == lint))
}

/// What `level(…)` holds, wherever that stands in an attribute.
fn lists_of<'a>(attribute: &'a str, level: &'a str) -> impl Iterator<Item = &'a str> {
    attribute
        .match_indices(level)
        .filter(move |(at, _)| !attribute[..*at].ends_with(is_word))
        .filter_map(move |(at, level)| enclosed(attribute[at + level.len()..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    #[test]
    fn what_is_in_comments_and_quotes_is_no_code() {
        let text = concat!(
            "let url = \"http://x\"; use crate::a; // crate::no\n",
            "/* crate::no /* nested */ crate::no */ use crate::b;\n",
            "let (q, e, s) = ('\"', '\\'', \"\\\" crate::no\"); fn f<'a>(x: &'a str) { crate::c::g(x) }\n",
            "let raw = r#\"crate::no \" crate::no\"#; let bytes = br\"crate::no\\\"; use crate::d;\n",
        );
        assert_eq!(imports(&code(text)), set(["a", "b", "c", "d"]));
        assert_eq!(code(text).lines().count(), 4);
    }

    #[test]
    fn only_what_is_marked_is_the_tests() {
        let text = "
            #[cfg(test)]
            mod tests;
            use crate::a;
            #[cfg(test)]
            pub(crate) use crate::{no, no::{no}};
            use crate::b;
            enum E {
                #[cfg(test)]
                Listed(crate::no::Map<u8, u8>),
                Other(crate::c::T),
            }
            impl E {
                #[cfg(test)]
                #[must_use]
                fn f<A, B>(a: A, b: B) -> crate::no::T<A, B> { crate::no::f(a, b) }
                fn g(self) {
                    match self {
                        #[cfg(test)]
                        Self::Listed(map) => { crate::no::h(map) }
                        Self::Other(other) => crate::d::h(other),
                    }
                }
            }
            #[cfg(test)]
            mod inside { use crate::no; fn f() { { crate::no::f() } } }
            use crate::e;";
        assert_eq!(imports(&without_tests(text)), set(["a", "b", "c", "d", "e"]));
        assert!(imports(text).contains("no"));
    }

    #[test]
    fn a_list_goes_on_behind_a_list_in_it() {
        let text = "use crate::{a::{b, c::{d}}, gateway::C,\n    e,\n}; $crate::no::f!(); my_crate::no::f();";
        assert_eq!(imports(text), set(["a", "gateway", "e"]));
    }

    #[test]
    fn a_lint_is_found_wherever_an_attribute_names_it() {
        for letting in [
            "#![allow(\n    unsafe_code,\n    missing_docs,\n)]",
            "#![allow(\n    missing_docs,\n    unsafe_code\n)]",
            "# ! [ expect ( unsafe_code ) ]",
            "#[cfg_attr(windows, allow(unsafe_code))]",
            "#[warn(unsafe_code)]",
        ] {
            assert!(lets_pass(letting, "unsafe_code"), "{letting}");
        }
        for other in ["#![deny(unsafe_code)]", "#![allow(unsafe_code_of_mine)]", "#[disallow(unsafe_code)]", "allow(unsafe_code)"] {
            assert!(!lets_pass(other, "unsafe_code"), "{other}");
        }
    }
}
