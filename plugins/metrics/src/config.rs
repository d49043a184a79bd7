//! The configuration as written, and its check.

use serde::Deserialize;

use crate::label::Label;

/// Labels one instrument may have; the gateway's limit.
const MAX_LABELS: usize = 8;
/// Bounds of one histogram. Each is one more number in every series, and 50 tell more than anyone reads.
const MAX_BOUNDS: usize = 50;
/// Bytes of `prefix`: with the longest name behind it still within the gateway's 64.
const MAX_PREFIX: usize = 32;

/// `config = { … }` of the plugin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    prefix: String,
    labels: Vec<Label>,
    consumer: bool,
    bounds: Vec<f64>,
    upstream_duration: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            labels: vec![Label::Route, Label::Api, Label::Version, Label::Method, Label::Status, Label::Fault],
            consumer: false,
            bounds: Vec::new(),
            upstream_duration: false,
        }
    }
}

/// What to declare.
#[derive(Debug, PartialEq)]
pub(crate) struct Wanted {
    /// In front of every instrument's name: empty, or with a `_` at its end.
    pub(crate) prefix: String,
    /// In the order of the exported labels, each once.
    pub(crate) labels: Vec<Label>,
    /// Of the duration histograms, in seconds; empty for the gateway's own.
    pub(crate) bounds: Vec<f64>,
    /// Whether to have the histogram of upstream times.
    pub(crate) upstream_duration: bool,
}

impl Config {
    /// Checks every key. The error is for the operator.
    pub(crate) fn check(self) -> Result<Wanted, String> {
        let prefix = checked_prefix(self.prefix)?;
        let mut labels = self.labels;
        if labels.contains(&Label::Consumer) {
            return Err("`labels`: `consumer` makes a series for every caller; write `consumer = true` if that is wanted".to_owned());
        }
        if self.consumer {
            labels.push(Label::Consumer);
        }
        for (place, label) in labels.iter().enumerate() {
            if labels.iter().take(place).any(|earlier| earlier == label) {
                return Err(format!("`labels`: `{}` is there twice", label.name()));
            }
        }
        if labels.len() > MAX_LABELS {
            return Err(format!("`labels`: {} labels, `consumer` included; an instrument has at most {MAX_LABELS}", labels.len()));
        }
        check_bounds(&self.bounds).map_err(|why| format!("`bounds`: {why}"))?;
        Ok(Wanted { prefix, labels, bounds: self.bounds, upstream_duration: self.upstream_duration })
    }
}

/// `[a-z][a-z0-9_]*`, as the gateway asks of instruments' names.
fn checked_prefix(prefix: String) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    match prefix.as_bytes() {
        [] => Ok(prefix),
        [first, ..] if first.is_ascii_lowercase() && prefix.len() <= MAX_PREFIX && prefix.bytes().all(legal) => Ok(prefix + "_"),
        _ => Err(format!("`prefix` = {prefix:?}: write at most {MAX_PREFIX} lower-case letters, digits and `_`, a letter first")),
    }
}

fn check_bounds(bounds: &[f64]) -> Result<(), String> {
    if bounds.len() > MAX_BOUNDS {
        return Err(format!("{} bounds; at most {MAX_BOUNDS}", bounds.len()));
    }
    let mut last = 0.0;
    for bound in bounds {
        if !bound.is_finite() || *bound <= last {
            return Err(format!("{bound} after {last}: upper bounds are seconds above zero, each larger than the one before"));
        }
        last = *bound;
    }
    Ok(())
}
