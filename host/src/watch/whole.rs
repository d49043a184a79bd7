//! Whether a component's file is all there. A writer that opens, appends and closes again leaves no other sign between two
//! pieces.

use wasmparser::{Chunk, Encoding, Parser, Payload};

/// How every binary of WebAssembly begins.
const MAGIC: &[u8] = b"\0asm";

/// Whether nothing more has to come before the bytes can be judged: a component whose every section is whole, or what will
/// never be a component.
///
/// A component without exports counts as one that breaks off between two sections: it would have no hook anyway.
pub fn is_whole(bytes: &[u8]) -> bool {
    if bytes.len() < MAGIC.len() {
        return !MAGIC.starts_with(bytes);
    }
    if !bytes.starts_with(MAGIC) {
        return true;
    }
    let (mut parser, mut rest, mut has_exports) = (Parser::new(0), bytes, false);
    while !rest.is_empty() {
        let (consumed, payload) = match parser.parse(rest, false) {
            Ok(Chunk::Parsed { consumed, payload }) => (consumed, payload),
            Ok(Chunk::NeedMoreData(_)) => return false,
            // More of it would not mend this.
            Err(_) => return true,
        };
        let nested = match payload {
            Payload::Version { encoding: Encoding::Module, .. } => return true,
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                unchecked_range.end - unchecked_range.start
            }
            Payload::ComponentExportSection(_) => {
                has_exports = true;
                0
            }
            _ => 0,
        };
        match consumed.checked_add(nested).and_then(|end| rest.get(end..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    has_exports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::builtin;

    #[test]
    fn a_component_is_whole_and_no_beginning_of_it_is() {
        let component = builtin("tls-forward").unwrap();
        assert!(is_whole(component));
        let whole: Vec<_> = (0..component.len()).filter(|length| is_whole(&component[..*length])).collect();
        // What may be missing is what comes after the exports: names and other sections that nothing runs by.
        for length in &whole {
            let payloads = Parser::new(0).parse_all(&component[..*length]);
            assert!(payloads.into_iter().all(|payload| payload.is_ok()), "{length} bytes");
        }
        assert!(whole.iter().all(|length| *length > component.len() / 2), "{whole:?} of {}", component.len());
    }

    #[test]
    fn what_will_never_be_a_component_need_not_be_waited_for() {
        assert!(is_whole(b"#!/bin/sh\n"));
        assert!(is_whole(b"hi"));
        assert!(is_whole(b"\0asm\x01\0\0\0"), "a core module");
        assert!(!is_whole(b""));
        assert!(!is_whole(b"\0as"));
        assert!(!is_whole(b"\0asm\x0d\0"));
    }
}
