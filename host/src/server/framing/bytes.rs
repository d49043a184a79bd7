//! Classes of bytes, and how far a run of one class goes.

use super::FramingFault;

/// Tokens (RFC 9110, section 5.6.2).
const TOKEN: u8 = 1;
/// Request targets: visible ASCII but `#`. What it means there is the path's business.
const TARGET: u8 = 2;
/// Labels of a host's name. `_` is in no host name, but in names people give to machines.
const LABEL: u8 = 4;

const CLASSES: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, and a byte is below 256")]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0x21u8;
    while byte < 0x7F {
        let token = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        let target = byte != b'#';
        let label = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        classes[byte as usize] = if token { TOKEN } else { 0 } | if target { TARGET } else { 0 } | if label { LABEL } else { 0 };
        byte += 1;
    }
    classes
}

fn run(bytes: &[u8], class: u8) -> usize {
    let end = bytes.iter().position(|byte| CLASSES.get(usize::from(*byte)).is_none_or(|classes| classes & class == 0));
    end.unwrap_or(bytes.len())
}

/// Whether a byte belongs to a token.
pub(super) fn is_token(byte: u8) -> bool {
    token_run(&[byte]) == 1
}

/// How many bytes at the beginning belong to a token.
pub(super) fn token_run(bytes: &[u8]) -> usize {
    run(bytes, TOKEN)
}

/// How many bytes at the beginning belong to a request target.
pub(super) fn target_run(bytes: &[u8]) -> usize {
    run(bytes, TARGET)
}

/// How many bytes at the beginning belong to a label of a host's name.
pub(super) fn label_run(bytes: &[u8]) -> usize {
    run(bytes, LABEL)
}

/// How many bytes at the beginning are no control characters; by the block, because values are most of a head.
pub(super) fn value_run(bytes: &[u8]) -> usize {
    let long = clean_blocks::<32>(bytes);
    let short = long + clean_blocks::<8>(bytes.get(long..).unwrap_or_default());
    let rest = bytes.get(short..).unwrap_or_default();
    short + rest.iter().position(u8::is_ascii_control).unwrap_or(rest.len())
}

/// How many bytes whole blocks without a control character have. Each is looked at to its end, so that the compiler makes a few vector instructions
/// of it.
fn clean_blocks<const SIZE: usize>(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<SIZE>();
    let unclean = blocks.iter().position(|block| block.iter().fold(false, |any, byte| any | byte.is_ascii_control()));
    unclean.unwrap_or(blocks.len()) * SIZE
}

/// The fault of a byte that nothing allows where it stands: what it is if that is wrong everywhere, or else `here`.
pub(super) fn unexpected(byte: u8, here: FramingFault) -> FramingFault {
    match byte {
        b'\n' => FramingFault::BareLf,
        b'\r' | b'\t' => here,
        _ if byte.is_ascii_control() => FramingFault::Control,
        _ => here,
    }
}

/// The beginning of a word that may go on in the next run of bytes. Longer ones than any that is looked for are cut.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Word {
    bytes: [u8; Word::CAPACITY],
    length: usize,
}

impl Word {
    /// One more than `transfer-encoding` has.
    const CAPACITY: usize = 18;

    pub(super) fn extend(&mut self, more: &[u8]) {
        let free = self.bytes.get_mut(self.length..).unwrap_or_default();
        for (to, from) in free.iter_mut().zip(more) {
            *to = *from;
        }
        self.length = Self::CAPACITY.min(self.length + more.len());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
