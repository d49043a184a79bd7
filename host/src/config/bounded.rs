//! Files that others put in place: of a kind and size that can be read.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file to read it.
///
/// # Errors
/// As the system reports it, or it is no file: a folder, a device, or a pipe, whose reader would wait for somebody to write to it.
pub fn open_file(path: &Path) -> io::Result<File> {
    // To open a device may do something already.
    refuse_others(&fs::metadata(path)?)?;
    // Something else may have its name since; a pipe is opened at once then, and seen.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    refuse_others(&file.metadata()?)?;
    Ok(file)
}

/// Reads a file of at most so many bytes, a whole number of KiB.
///
/// # Errors
/// As [`open_file`], or it is larger.
pub fn read_file(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        let (number, unit) = if largest.is_multiple_of(1 << 20) { (largest >> 20, "MiB") } else { (largest >> 10, "KiB") };
        return Err(io::Error::other(format!("it is larger than {number} {unit}")));
    }
    Ok(bytes)
}

/// As [`read_file`], with the error as the end of a sentence that names the file.
///
/// # Errors
/// As [`read_file`].
pub fn read_bounded(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    read_file(path, largest).map_err(|error| error.to_string())
}

fn refuse_others(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(io::Error::other("it is no file")) }
}
