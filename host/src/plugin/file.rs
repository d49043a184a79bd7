//! What a component's file says of itself: read from its bytes, with nothing of it compiled and nothing run.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::Types;
use wasmparser::{Error, KnownCustom, Parser, Payload, ProducersSectionReader, ValidPayload, Validator};

use super::component::LoadError;

/// The custom section in which the Rust SDK leaves its version.
const SDK_SECTION: &str = "plugway-sdk";
/// Tools that are kept of one file, and bytes of each name and version: they are for reading, and anybody can write them.
const MOST_TOOLS: usize = 32;
const LONGEST_TOOL: usize = 64;

/// A component's file, as far as it can be known without compiling it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentFile {
    /// What it imports, in its order.
    pub imports: Vec<Import>,
    /// Names of what it exports, in its order.
    pub exports: Vec<String>,
    /// The version of the Rust SDK it was built with; `None` for other toolchains.
    pub sdk: Option<String>,
    /// What it says it was made by: names and versions, by kind (`language`, `processed-by`, `sdk`). It may say anything.
    pub tools: BTreeMap<String, BTreeMap<String, String>>,
}

/// One import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As written, such as `plugway:gateway/request@0.1.0`.
    pub name: String,
    /// What it takes of that interface: components import single functions.
    pub functions: Vec<String>,
}

impl ComponentFile {
    /// Reads a file. Everything is validated but the bodies of functions, which is for the compiler.
    ///
    /// # Errors
    /// When it is no component.
    pub fn read(bytes: &[u8]) -> Result<Self, LoadError> {
        refuse_other_files(bytes)?;
        Self::parse(bytes).map_err(|error| LoadError::NotAComponent(error.to_string()))
    }

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut file = Self { imports: Vec::new(), exports: Vec::new(), sdk: None, tools: BTreeMap::new() };
        let mut validator = Validator::new();
        let mut types = None;
        // Sections of what is nested in it come between its own.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            match validator.payload(&payload)? {
                ValidPayload::Parser(_) => depth += 1,
                ValidPayload::End(ended) => {
                    depth = depth.saturating_sub(1);
                    types = Some(ended);
                }
                ValidPayload::Ok | ValidPayload::Func(..) => {}
            }
            match payload {
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        file.imports.push(Import { name: import?.name.name.to_owned(), functions: Vec::new() });
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        file.exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if section.name() == SDK_SECTION => {
                    file.sdk = std::str::from_utf8(section.data()).ok().map(short);
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Producers(producers) = section.as_known() {
                        // Nobody has to write this section, or to write it well.
                        drop(file.made_by(producers));
                    }
                }
                _ => {}
            }
        }
        // The last to end is the component itself.
        let types = types.as_ref().map(Types::as_ref);
        for import in &mut file.imports {
            let Some(types) = types else { break };
            if let Some(ComponentEntityType::Instance(instance)) = types.component_item_for_import(&import.name).map(|item| item.ty) {
                #[expect(clippy::indexing_slicing, reason = "the number comes from these very types")]
                let exports = &types[instance].exports;
                import.functions = exports
                    .iter()
                    .filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)))
                    .map(|(name, _)| name.clone())
                    .collect();
            }
        }
        Ok(file)
    }

    fn made_by(&mut self, producers: ProducersSectionReader<'_>) -> Result<(), Error> {
        for field in producers {
            let field = field?;
            let tools = self.tools.entry(field.name.to_owned()).or_default();
            for value in field.values.into_iter().take(MOST_TOOLS) {
                let value = value?;
                if tools.len() < MOST_TOOLS {
                    tools.insert(short(value.name), short(value.version));
                }
            }
        }
        Ok(())
    }
}

/// What needs no reading to see.
fn refuse_other_files(bytes: &[u8]) -> Result<(), LoadError> {
    const LAYER: Range<usize> = 4..8;
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadError::NotAComponent("it does not begin as WebAssembly does".into()));
    }
    if bytes.get(LAYER) == Some(&[1, 0, 0, 0]) {
        return Err(LoadError::NotAComponent(
            "it is a core module; build it with `--target wasm32-wasip2`, which writes a component".into(),
        ));
    }
    Ok(())
}

/// The beginning of a text, without what a terminal would obey.
fn short(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(LONGEST_TOOL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::builtin;

    #[test]
    fn reads_what_a_shipped_plugin_is() {
        let file = ComponentFile::read(builtin("oauth2").unwrap()).unwrap();
        assert!(file.exports.iter().any(|name| name == "plugway:gateway/authorizer@0.1.0"), "{file:?}");
        let crypto = file.imports.iter().find(|import| import.name == "plugway:gateway/crypto@0.1.0").unwrap();
        assert!(!crypto.functions.is_empty(), "{crypto:?}");
        assert_eq!(file.sdk.as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert!(file.tools["processed-by"].contains_key("wit-component"), "{:?}", file.tools);
    }

    #[test]
    fn half_a_file_is_no_component() {
        let bytes = builtin("metrics").unwrap();
        for length in (0..bytes.len()).step_by(997) {
            assert!(matches!(ComponentFile::read(&bytes[..length]), Err(LoadError::NotAComponent(_))), "{length} bytes");
        }
    }

    #[test]
    fn no_change_of_a_byte_makes_it_panic() {
        let good = builtin("metrics").unwrap();
        let mut random = fastrand::Rng::with_seed(0x7269_6768);
        for _ in 0..300 {
            let mut bytes = good.to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(8..bytes.len());
                bytes[at] = random.u8(..);
            }
            // Whatever it says.
            drop(ComponentFile::read(&bytes));
        }
    }

    #[test]
    fn a_file_cannot_write_on_the_terminal_it_is_shown_on() {
        assert_eq!(short("rustc\x1b[2J 1.95\n"), "rustc[2J 1.95");
        assert_eq!(short(&"x".repeat(1000)).len(), LONGEST_TOOL);
    }
}
