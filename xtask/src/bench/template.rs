//! Configurations of proxies as files that can be read as they are: `@name@` stands for a word, and lines that begin with
//! `#@` (a comment in every format here) choose and repeat.
//!
//! | line | meaning |
//! |---|---|
//! | `#@ if FLAG` | what follows is there when the flag is set |
//! | `#@ else` | … when it is not |
//! | `#@ each LIST` | what follows is there once per element, whose words come first |
//! | `#@ end` | of `if` and `each` |

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

/// What a template is filled with.
#[derive(Debug, Default, Clone)]
pub(super) struct Values {
    words: Vec<(&'static str, String)>,
    flags: Vec<&'static str>,
    lists: Vec<(&'static str, Vec<Values>)>,
}

impl Values {
    /// A word; a later one of the same name does not replace it.
    #[must_use]
    pub(super) fn word(mut self, name: &'static str, value: impl ToString) -> Self {
        self.words.push((name, value.to_string()));
        self
    }

    /// The word of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.words.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Sets a flag, or does not.
    #[must_use]
    pub(super) fn flag(mut self, name: &'static str, set: bool) -> Self {
        if set {
            self.flags.push(name);
        }
        self
    }

    /// A list.
    #[must_use]
    pub(super) fn list(mut self, name: &'static str, elements: impl IntoIterator<Item = Self>) -> Self {
        self.lists.push((name, elements.into_iter().collect()));
        self
    }
}

/// Fills in a template.
///
/// # Errors
/// When it names something that is not there or does not end what it begins.
pub(super) fn fill(template: &str, values: &Values) -> Result<String> {
    let lines: Vec<&str> = template.lines().collect();
    let mut output = String::with_capacity(template.len());
    match render(&lines, &[values], true, &mut output)? {
        Stop { rest: [], why: Why::TextEnds } => Ok(output),
        stop => Err(Error::new(format!("{:?} with nothing to end", stop.why))),
    }
}

/// Where a block ended.
struct Stop<'l> {
    rest: &'l [&'l str],
    why: Why,
}

#[derive(Debug, PartialEq)]
enum Why {
    Else,
    End,
    TextEnds,
}

/// Writes lines up to the end of their block; `scopes` are searched from the last to the first.
fn render<'l>(mut lines: &'l [&'l str], scopes: &[&Values], shown: bool, output: &mut String) -> Result<Stop<'l>> {
    while let [line, rest @ ..] = lines {
        lines = rest;
        let words = line.trim_start().strip_prefix("#@").map(|words| words.split_whitespace().collect::<Vec<_>>());
        match words.as_deref() {
            None if shown => {
                output.push_str(&replace(line, scopes)?);
                output.push('\n');
            }
            None => {}
            Some(["else"]) => return Ok(Stop { rest, why: Why::Else }),
            Some(["end"]) => return Ok(Stop { rest, why: Why::End }),
            Some(["if", flag]) => {
                let set = scopes.iter().any(|scope| scope.flags.contains(flag));
                let mut stop = render(rest, scopes, shown && set, output)?;
                if stop.why == Why::Else {
                    stop = render(stop.rest, scopes, shown && !set, output)?;
                }
                lines = ended(stop, line)?;
            }
            Some(["each", list]) => {
                // Once unseen, to find its end even where there is no element.
                lines = ended(render(rest, scopes, false, output)?, line)?;
                if shown {
                    let named = |scope: &&Values| scope.lists.iter().find(|(name, _)| name == list).map(|(_, elements)| elements.clone());
                    let elements = scopes.iter().rev().find_map(named).context(format!("no list {list}"))?;
                    for element in &elements {
                        let inner: Vec<&Values> = scopes.iter().copied().chain([element]).collect();
                        render(rest, &inner, true, output)?;
                    }
                }
            }
            Some(_) => return Err(Error::new(format!("not understood: {line}"))),
        }
    }
    Ok(Stop { rest: lines, why: Why::TextEnds })
}

fn ended<'l>(stop: Stop<'l>, begin: &str) -> Result<&'l [&'l str]> {
    if stop.why == Why::End { Ok(stop.rest) } else { Err(Error::new(format!("`{}` has no end", begin.trim()))) }
}

/// Replaces every `@name@`; an `@` that begins no such thing stays.
fn replace(line: &str, scopes: &[&Values]) -> Result<String> {
    let (mut output, mut left) = (String::new(), line);
    while let Some((before, after)) = left.split_once('@') {
        output.push_str(before);
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        match after.split_once('@').filter(|(name, _)| is_name(name)) {
            Some((name, rest)) => {
                let find = |scope: &&Values| scope.words.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
                output.push_str(&scopes.iter().rev().find_map(find).context(format!("nothing for @{name}@ in: {line}"))?);
                left = rest;
            }
            None => {
                output.push('@');
                left = after;
            }
        }
    }
    output.push_str(left);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_replaced_and_other_signs_stay() {
        let values = Values::default().word("port", 80).word("name", "a");
        assert_eq!(
            fill("listen @port@; # @name@@port@\n\"@type\": x@y.z @...@", &values).unwrap(),
            "listen 80; # a80\n\"@type\": x@y.z @...@\n"
        );
        assert!(fill("@nobody@", &values).is_err());
    }

    #[test]
    fn flags_choose_and_nest() {
        let text = "#@ if a\n  #@ if b\nab\n  #@ else\na\n  #@ end\n#@ else\nnone\n#@ end\nlast";
        let with =
            |flags: &[&'static str]| fill(text, &flags.iter().fold(Values::default(), |values, flag| values.flag(flag, true))).unwrap();
        assert_eq!(with(&["a", "b"]), "ab\nlast\n");
        assert_eq!(with(&["a"]), "a\nlast\n");
        assert_eq!(with(&["b"]), "none\nlast\n");
    }

    #[test]
    fn lists_repeat() {
        let element = |number: usize| Values::default().word("number", number);
        let text = "#@ each plugin\n@number@ of @total@\n#@ end";
        let values = |count| Values::default().word("total", count).list("plugin", (1..=count).map(element));
        assert_eq!(fill(text, &values(2)).unwrap(), "1 of 2\n2 of 2\n");
        assert_eq!(fill(text, &values(0)).unwrap(), "");
    }

    #[test]
    fn lists_of_elements_repeat_inside() {
        let listens = |ports: &[u16]| ports.iter().map(|port| Values::default().word("port", port)).collect::<Vec<_>>();
        let values =
            Values::default().list("server", [&[1, 2][..], &[], &[3]].map(|ports| Values::default().list("listen", listens(ports))));
        assert_eq!(fill("#@ each server\n(\n#@ each listen\n@port@\n#@ end\n)\n#@ end", &values).unwrap(), "(\n1\n2\n)\n(\n)\n(\n3\n)\n");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for text in ["#@ if a\nx", "x\n#@ end", "#@ else", "#@ each nothing\n#@ end", "#@ unless a\n#@ end"] {
            assert!(fill(text, &Values::default()).is_err(), "{text}");
        }
    }
}
