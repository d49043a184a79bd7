//! Files that a configuration names and whose content is kept in memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a file of at most so many bytes, a whole number of KiB.
///
/// # Errors
/// It is none, cannot be read, or is larger; as the end of a sentence that names it.
pub fn read_bounded(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    // Opening a pipe would wait for somebody to write to it.
    if !std::fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(largest + 1).read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > largest {
        let (number, unit) = if largest.is_multiple_of(1 << 20) { (largest >> 20, "MiB") } else { (largest >> 10, "KiB") };
        return Err(format!("it is larger than {number} {unit}"));
    }
    Ok(bytes)
}
