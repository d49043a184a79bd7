//! What is wrong with a configuration, all of it at once.

use std::fmt;
use std::path::{Path, PathBuf};

use super::model::Position;
use super::plain::plain;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub position: Position,
    /// The key, from the top of the file: `routes[2].match.path`. Empty for the file itself.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub suggestion: Option<String>,
    /// The plugin whose file or code it comes from, and why in one word, for metrics and status.
    pub plugin: Option<(String, &'static str)>,
    /// Plugins of which another version may have brought it about; whoever knows their last versions can tell.
    pub suspects: Vec<String>,
}

impl Problem {
    /// A problem without a suggestion.
    pub fn error(position: Position, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { position, key: key.into(), message: message.into(), suggestion: None, plugin: None, suspects: Vec::new() }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn with_suggestion(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl Problem {
    /// The same problem, known to come from a plugin: its configured name, and why in one word.
    #[must_use]
    pub fn of_plugin(mut self, name: &str, why: &'static str) -> Self {
        self.plugin = Some((name.to_owned(), why));
        self
    }
}

/// Everything that is wrong with one file.
#[derive(Debug, Clone)]
pub struct Problems {
    file: PathBuf,
    found: Vec<Problem>,
}

impl Problems {
    /// None yet.
    pub fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    /// One more, unless it is there already: what stands in `[defaults]` is found for each route.
    pub fn push(&mut self, problem: Problem) {
        if !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    /// All of another list, save what is wrong with a key of which something is known already: what was found later may only
    /// follow from it.
    pub fn append(&mut self, others: Self) {
        let known = self.found.len();
        let new = |other: &Problem| !self.found.iter().take(known).any(|problem| problem.key == other.key);
        let new: Vec<_> = others.found.into_iter().filter(new).collect();
        self.found.extend(new);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether something is wrong in that table, e.g. `plugins.auth`.
    pub fn concern(&self, table: &str) -> bool {
        let within = |key: &str| key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.found.iter().any(|problem| within(&problem.key))
    }

    /// Whether an item of that list of plugins is missing, because of what is wrong with it or with the whole list.
    pub fn leave_gaps(&self, list: &str) -> bool {
        let gap = |key: &str| {
            let item = key.strip_prefix(list)?;
            let (_, rest) = item.strip_prefix('[')?.split_once(']')?;
            Some(rest.is_empty() || rest == ".plugin")
        };
        self.found.iter().any(|problem| problem.key == list || gap(&problem.key).unwrap_or(false))
    }

    /// Every one, as they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.found.len()
    }
}

impl fmt::Display for Problems {
    /// `FILE:LINE:COLUMN: KEY: MESSAGE` each, in the order of the file, so that editors and people can follow them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<_> = self.found.iter().collect();
        sorted.sort_by_key(|problem| problem.position);
        let file = self.file.display();
        for Problem { position, key, message, suggestion, .. } in sorted {
            write!(f, "{file}:{}:{}: ", position.line, position.column)?;
            if !key.is_empty() {
                write!(f, "{key}: ")?;
            }
            // Words of a plugin may be in it.
            writeln!(f, "{}", plain(message))?;
            if let Some(suggestion) = suggestion {
                writeln!(f, "    help: {}", plain(suggestion))?;
            }
        }
        match self.found.len() {
            1 => writeln!(f, "1 problem"),
            count => writeln!(f, "{count} problems"),
        }
    }
}

impl std::error::Error for Problems {}
