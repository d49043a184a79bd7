//! Leads a component's hooks through a module of their own, before it is compiled, so that a call finds them at once.
//!
//! wasmtime 48 makes the reference to a function anew each time it is called from outside: it looks for the module's code, and in it for
//! two functions. That is a tenth of what a plugin that reads a header and adds one executes (ADR 36). The reference to a function that
//! a module imports is there since it was instantiated, and may be exported again. So what the component lifts comes from one more
//! module, which does nothing but that; its functions are the very ones, and nothing is executed that was not before.

use std::collections::BTreeMap;
use std::ops::Range;

use wasm_encoder::{
    Component, ComponentSectionId, Encode, EntityType, ExportKind, ExportSection, ImportSection, InstanceSection, Module, ModuleArg,
    ModuleSection, RawSection, TypeSection,
};
use wasmparser::types::{Types, TypesRef};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentAliasSectionReader, ComponentExternalKind, ComponentOuterAliasKind, ComponentTypeRef,
    CompositeInnerType, ExternalKind, Parser, Payload, Result, ValType, ValidPayload, Validator,
};

/// Raised when another component is made of the same one: what is in the cache is of an earlier one then.
pub(in crate::plugin) const VERSION: u32 = 1;

/// How the module names the one it takes functions from.
const FROM: &str = "hooks";

/// A component's own sections, and of its core definitions what has to be known to add some.
#[derive(Debug, Default)]
struct Outline<'a> {
    sections: Vec<(u8, Range<usize>)>,
    /// By their number; `None` for those that are no export of an instance.
    functions: Vec<Option<Exported<'a>>>,
    /// Numbers of the functions that are lifted.
    lifted: Vec<u32>,
    modules: u32,
    instances: u32,
    /// Whether it takes modules from elsewhere, which have numbers too.
    takes_modules: bool,
}

/// A function that is an export of a core instance, and where the component says so.
#[derive(Debug, Clone)]
struct Exported<'a> {
    section: usize,
    at: Range<usize>,
    instance: u32,
    name: &'a str,
}

/// The same component with its hooks at hand. `None` for one that is made in another way than tools make them: it is compiled as it is.
pub(super) fn hooks(bytes: &[u8]) -> Option<Vec<u8>> {
    let (outline, types) = Outline::read(bytes)?;
    outline.with_hooks_at_hand(bytes, types.as_ref())
}

// === impl Outline ===

impl<'a> Outline<'a> {
    /// `None` where it is no component.
    fn read(bytes: &'a [u8]) -> Option<(Self, Types)> {
        let (mut outline, mut validator, mut depth) = (Self::default(), Validator::new(), 0_usize);
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.ok()?;
            let valid = validator.payload(&payload).ok()?;
            if depth == 0 {
                outline.sections.extend(payload.as_section());
                outline.count(payload).ok()?;
            }
            match valid {
                ValidPayload::Parser(_) => depth += 1,
                ValidPayload::End(types) if depth == 0 => return Some((outline, types)),
                ValidPayload::End(_) => depth -= 1,
                ValidPayload::Ok | ValidPayload::Func(..) => {}
            }
        }
        None
    }

    fn count(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::ModuleSection { .. } => self.modules += 1,
            Payload::InstanceSection(section) => self.instances += section.count(),
            Payload::ComponentImportSection(section) => {
                for import in section {
                    self.takes_modules |= matches!(import?.ty, ComponentTypeRef::Module(_));
                }
            }
            Payload::ComponentAliasSection(section) => self.aliases(section)?,
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    match function? {
                        CanonicalFunction::Lift { core_func_index, .. } => self.lifted.push(core_func_index),
                        _ => self.functions.push(None),
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn aliases(&mut self, section: ComponentAliasSectionReader<'a>) -> Result<()> {
        let end = section.range().end;
        let aliases = section.into_iter_with_offsets().collect::<Result<Vec<_>>>()?;
        let ends = aliases.iter().skip(1).map(|(next, _)| *next).chain([end]).collect::<Vec<_>>();
        for ((begin, alias), end) in aliases.into_iter().zip(ends) {
            match alias {
                ComponentAlias::CoreInstanceExport { kind: ExternalKind::Func | ExternalKind::FuncExact, instance_index, name } => {
                    let section = self.sections.len().saturating_sub(1);
                    self.functions.push(Some(Exported { section, at: begin..end, instance: instance_index, name }));
                }
                ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. }
                | ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => self.takes_modules = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn with_hooks_at_hand(&self, bytes: &[u8], types: TypesRef<'_>) -> Option<Vec<u8>> {
        let hooks: BTreeMap<u32, &Exported<'_>> = self
            .lifted
            .iter()
            .map(|number| Some((*number, self.functions.get(usize::try_from(*number).ok()?)?.as_ref()?)))
            .collect::<Option<_>>()?;
        let first = hooks.values().map(|hook| hook.section).min()?;
        let instance = hooks.values().next()?.instance;
        // What is added has the next numbers, which nothing after it may have.
        let is_last =
            |(id, _): &(u8, Range<usize>)| *id != ComponentSectionId::CoreModule as u8 && *id != ComponentSectionId::CoreInstance as u8;
        if self.takes_modules || hooks.values().any(|hook| hook.instance != instance) || !self.sections.iter().skip(first).all(is_last) {
            return None;
        }
        let module = through(&hooks, types)?;
        let mut component = Component::new();
        for (number, (id, range)) in self.sections.iter().enumerate() {
            if number == first {
                let mut instances = InstanceSection::new();
                instances.instantiate(self.modules, [(FROM, ModuleArg::Instance(instance))]);
                component.section(&ModuleSection(&module)).section(&instances);
            }
            let mut data = Vec::new();
            let mut begin = range.start;
            for hook in hooks.values().filter(|hook| hook.section == number) {
                data.extend_from_slice(bytes.get(begin..hook.at.start)?);
                alias(self.instances, hook.name, &mut data);
                begin = hook.at.end;
            }
            data.extend_from_slice(bytes.get(begin..range.end)?);
            component.section(&RawSection { id: *id, data: &data });
        }
        Some(component.finish())
    }
}

/// A module that imports these functions and exports them by their names.
fn through(hooks: &BTreeMap<u32, &Exported<'_>>, types: TypesRef<'_>) -> Option<Module> {
    let (mut signatures, mut imports, mut exports) = (TypeSection::new(), ImportSection::new(), ExportSection::new());
    // One may be lifted more than once.
    let by_name: BTreeMap<&str, u32> = hooks.iter().map(|(number, hook)| (hook.name, *number)).collect();
    for (index, (name, number)) in (0..).zip(by_name) {
        #[expect(clippy::indexing_slicing, reason = "the number comes from these very types")]
        let CompositeInnerType::Func(signature) = &types[types.core_function_at(number)].composite_type.inner else { return None };
        let flat = |types: &[ValType]| types.iter().map(|of| flat(*of)).collect::<Option<Vec<_>>>();
        signatures.ty().function(flat(signature.params())?, flat(signature.results())?);
        imports.import(FROM, name, EntityType::Function(index));
        exports.export(name, ExportKind::Func, index);
    }
    let mut module = Module::new();
    module.section(&signatures).section(&imports).section(&exports);
    Some(module)
}

/// What functions that are lifted take and give (Component Model, canonical ABI, flattening).
fn flat(of: ValType) -> Option<wasm_encoder::ValType> {
    match of {
        ValType::I32 => Some(wasm_encoder::ValType::I32),
        ValType::I64 => Some(wasm_encoder::ValType::I64),
        ValType::F32 => Some(wasm_encoder::ValType::F32),
        ValType::F64 => Some(wasm_encoder::ValType::F64),
        ValType::V128 | ValType::Ref(_) => None,
    }
}

/// The function with that name of a core instance, as a section of aliases has it.
fn alias(instance: u32, name: &str, data: &mut Vec<u8>) {
    const CORE_FUNCTION_OF_AN_INSTANCE: [u8; 3] = [0x00, 0x00, 0x01];
    data.extend_from_slice(&CORE_FUNCTION_OF_AN_INSTANCE);
    instance.encode(data);
    name.encode(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::builtin;
    use crate::plugin::file::ComponentFile;

    const PLUGINS: [&str; 4] = ["oauth2", "hash-router", "tls-forward", "metrics"];

    #[test]
    fn a_components_hooks_come_from_a_module_that_imports_them_and_it_is_the_same_to_whoever_uses_it() {
        for name in PLUGINS {
            let bytes = builtin(name).unwrap();
            let changed = hooks(bytes).unwrap();
            assert_eq!(ComponentFile::read(&changed).unwrap(), ComponentFile::read(bytes).unwrap(), "{name}");
            let ((before, _), (after, types)) = (Outline::read(bytes).unwrap(), Outline::read(&changed).unwrap());
            assert_eq!((after.modules, after.instances), (before.modules + 1, before.instances + 1), "{name}");
            let lifted: Vec<_> = after.lifted.iter().map(|number| after.functions[*number as usize].clone().unwrap()).collect();
            assert!(!lifted.is_empty() && lifted.iter().all(|hook| hook.instance == before.instances), "{name}: {lifted:?}");
            // Whatever else is an export of an instance is the one it was.
            for (number, function) in before.functions.iter().enumerate() {
                let is_hook = after.lifted.contains(&(number as u32));
                let (was, is) = (function.as_ref(), after.functions[number].as_ref());
                assert_eq!(was.map(|was| was.name), is.map(|is| is.name), "{name}");
                assert!(is_hook || was.map(|was| was.instance) == is.map(|is| is.instance), "{name}: {was:?} {is:?}");
            }
            assert!(after.with_hooks_at_hand(&changed, types.as_ref()).is_some(), "{name}: once more does no harm");
        }
    }

    #[test]
    fn a_component_without_hooks_and_what_is_none_stay_as_they_are() {
        assert_eq!(hooks(b"\0asm\x0d\0\x01\0"), None);
        assert_eq!(hooks(b"\0asm\x01\0\0\0"), None);
        assert_eq!(hooks(b""), None);
    }

    #[test]
    fn what_is_left_of_a_component_or_was_changed_makes_nothing_that_is_none() {
        let good = builtin("metrics").unwrap();
        let mut random = fastrand::Rng::with_seed(0x6861_6e64);
        for _ in 0..300 {
            let mut bytes = good.to_vec();
            bytes.truncate(random.usize(8..bytes.len() + 1));
            for _ in 0..random.usize(0..4) {
                let at = random.usize(0..bytes.len());
                bytes[at] = random.u8(..);
            }
            if let Some(changed) = hooks(&bytes) {
                assert!(ComponentFile::read(&changed).is_ok());
            }
        }
    }
}
