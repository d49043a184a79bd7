//! What passes between gateway and compiling process: one frame each way, a header and as many bytes as it says. A
//! frame that broke off is therefore never taken for a whole one.

use std::io::{self, Read, Write};

/// Length of a header: the mark, the kind, the length of what follows.
pub(super) const HEADER: usize = 8 + 1 + 8;

/// No component and no compiled one comes near; a length above it is garbage.
const LARGEST: u64 = 1 << 30;
const MARK: &[u8; 8] = b"plugway\x01";

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A component to compile.
    Component = 1,
    /// A component, compiled.
    Compiled = 2,
    /// Why it was not, as text.
    Refused = 3,
}

/// The header of a frame.
pub(super) fn header(kind: Kind, length: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let fields = MARK.iter().copied().chain([kind as u8]).chain((length as u64).to_le_bytes());
    header.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    header
}

/// Kind and length; `None` where this is no header.
pub(super) fn parse(header: &[u8; HEADER]) -> Option<(Kind, usize)> {
    let (kind, length) = header.strip_prefix(MARK)?.split_first()?;
    let kind = [Kind::Component, Kind::Compiled, Kind::Refused].into_iter().find(|known| *known as u8 == *kind)?;
    let length = u64::from_le_bytes(length.try_into().ok()?);
    (length <= LARGEST).then_some((kind, usize::try_from(length).ok()?))
}

/// Writes a frame.
pub(super) fn write(to: &mut impl Write, kind: Kind, content: &[u8]) -> io::Result<()> {
    to.write_all(&header(kind, content.len()))?;
    to.write_all(content)?;
    to.flush()
}

/// Reads a frame of one kind.
pub(super) fn read(from: &mut impl Read, kind: Kind) -> io::Result<Vec<u8>> {
    let mut header = [0; HEADER];
    let length = match from.read_exact(&mut header).map(|()| parse(&header)) {
        Ok(Some((found, length))) if found == kind => length,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not what plugway sends to itself")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(io::Error::new(error.kind(), "plugway runs this for itself, and sends a plugin to compile; try `plugway check`"));
        }
        Err(error) => return Err(error),
    };
    let mut content = Vec::with_capacity(length);
    from.take(length as u64).read_to_end(&mut content)?;
    if content.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(content)
}
