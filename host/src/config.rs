//! Configuration: the file as written (`schema`), checked and resolved (`compile`) into the [`model`], with every problem
//! reported at once.
//!
//! A file goes through four steps. `document` reads TOML into a tree and remembers where everything stands. `structure`
//! holds the tree against the schema and cuts out what does not fit. serde makes `schema` types of the rest, and
//! `compile` checks what the schema cannot say: names, addresses, patterns. No step hides what a later one would find,
//! save that text which is no TOML is not looked into.

mod bounded;
mod compile;
pub mod defaults;
mod document;
mod editor;
pub mod model;
mod name;
mod plain;
mod problems;
mod schema;
mod structure;
mod suggest;
mod units;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

pub use self::bounded::{open_file, read_bounded, read_file};
#[cfg(test)]
pub(crate) use self::compile::BUILTINS;
use self::compile::Compiler;
use self::document::Document;
pub use self::document::Places;
pub use self::editor::json_schema;
use self::model::{Config, Position};
pub use self::name::is_name;
pub use self::plain::{in_line, plain};
pub use self::problems::{Problem, Problems};

/// A commented configuration to start from: what `plugway init` writes.
pub const INIT: &str = include_str!("../../examples/quickstart/plugway.toml");

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is not wrong, but hardly meant.
    pub warnings: Vec<Problem>,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct Rejected {
    /// Everything that is wrong with the file.
    pub problems: Problems,
    /// What there is without that: to find more that is wrong, never to serve by.
    pub rest: Option<Box<Config>>,
}

impl Rejected {
    fn whole(problems: Problems) -> Self {
        Self { problems, rest: None }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.fmt(f)
    }
}

impl std::error::Error for Rejected {}

/// Reads a configuration file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(file: &Path) -> Result<Loaded, Rejected> {
    parse_bytes(std::fs::read(file), file)
}

/// As [`load`], from what was read of the file.
///
/// # Errors
/// As [`load`].
pub fn parse_bytes(read: std::io::Result<Vec<u8>>, file: &Path) -> Result<Loaded, Rejected> {
    let text = read.map_err(|error| format!("this file cannot be read: {error}")).and_then(|bytes| {
        // What stands before the first wrong byte tells where it is.
        String::from_utf8(bytes).map_err(|error| format!("byte {} of this file is no UTF-8", error.utf8_error().valid_up_to()))
    });
    match text {
        Ok(text) => parse(&text, file),
        Err(message) => {
            let mut problems = Problems::new(file);
            problems.push(Problem::error(Position { line: 1, column: 1 }, "", message));
            Err(Rejected::whole(problems))
        }
    }
}

/// Reads a configuration from its text. Relative paths in it are relative to the folder of `file`, which itself is not read.
/// Files that plugin tables name as `{ file = "PATH" }` are.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, file: &Path) -> Result<Loaded, Rejected> {
    let mut problems = Problems::new(file);
    let Document { tree, places, problems: found } = match document::read(text) {
        Ok(document) => document,
        Err(found) => {
            found.into_iter().for_each(|problem| problems.push(problem));
            return Err(Rejected::whole(problems));
        }
    };
    found.into_iter().for_each(|problem| problems.push(problem));
    let places = Arc::new(places);
    let declared = compile::Declared::of(&tree);
    let mut tree = Value::Object(tree);
    structure::check(&mut tree, editor::schema(), &places).into_iter().for_each(|problem| problems.push(problem));
    let raw: schema::File = match serde_json::from_value(tree) {
        Ok(raw) => raw,
        // Only if the schema took what the types do not; tests see to it that it does not.
        Err(error) => {
            problems.push(Problem::error(Position { line: 1, column: 1 }, "", format!("this cannot be used: {error}")));
            return Err(Rejected::whole(problems));
        }
    };
    let mut compiler = Compiler::new(file, &places, declared);
    let config = compiler.file(raw);
    let (errors, warnings) = compiler.finish();
    errors.into_iter().for_each(|problem| problems.push(problem));
    if problems.is_empty() { Ok(Loaded { config, warnings }) } else { Err(Rejected { problems, rest: Some(Box::new(config)) }) }
}

#[cfg(test)]
mod tests;
