//! BOLT (Panchenko and others, "BOLT: A Practical Binary Optimizer for Data Centers and Beyond", CGO 2019; <https://github.com/llvm/llvm-project/tree/main/bolt>):
//! the linked program is watched at work, and what it runs through is put one behind the other, apart from what it never comes to.

use std::path::{Path, PathBuf};

use plugway_harness::error::Context;
use plugway_harness::peers::Peer;
use plugway_harness::{Error, Result};

use super::directory;
use crate::workspace::{self, command};
use crate::{bench, setup};

/// Debian 12's newest.
const BOLT: Peer = Peer { program: "llvm-bolt-19", package: "bolt-19" };
/// Adds up what several processes counted.
const MERGER: Peer = Peer { program: "merge-fdata-19", package: "bolt-19" };

/// Blocks by how often one follows the other (Newell and Pupyrev, "Improved Basic Block Reordering", IEEE Transactions on Computers 2020), functions by
/// who calls whom, and what was never met elsewhere. Backtraces name the lines of what was moved.
const ORDER: [&str; 6] =
    ["-reorder-blocks=ext-tsp", "-reorder-functions=cdsort", "-split-functions", "-split-all-cold", "-split-eh", "-update-debug-sections"];

/// Said a thousand times, of names that no backtrace needs: BOLT 19 does not know a form in which rustc's LLVM writes some references.
const UNKNOWN_FORM: &str =
    "BOLT-WARNING: [internal-dwarf-error]: Unsupported attribute form DW_FORM_ref_udata in cloneAttribute. Dropping.";

/// Installs it.
///
/// # Errors
/// When it is not there and cannot be installed.
pub(super) fn install() -> Result<()> {
    if BOLT.find().is_ok() && MERGER.find().is_ok() { Ok(()) } else { setup::install(&[BOLT.package]) }
}

/// Writes `compiled`, put into the order of what it does at work, to `shipped`.
///
/// # Errors
/// When it was linked without relocations, or does not do its work while it is watched.
pub(super) fn arrange(compiled: &Path, shipped: &Path) -> Result<()> {
    // It looks for its parts beside the file that the name in PATH leads to.
    let bolt = BOLT.find()?.canonicalize().context(BOLT.program)?;
    let folder = workspace::emptied(directory().join("layout"))?;
    let (counting, counts) = (folder.join("plugway"), folder.join("counts"));

    let count = ["-instrument", "-instrumentation-file-append-pid"];
    let file = format!("-instrumentation-file={}", counts.display());
    workspace::run_without(UNKNOWN_FORM, command(&bolt, count).arg(file).arg("-o").arg(&counting).arg(compiled))?;
    bench::exercise(&counting)?;
    let merged = folder.join("merged");
    workspace::run(command(MERGER.find()?, ["-q", "-o"]).arg(&merged).args(counted(&folder)?))?;
    // Written beside what is shipped and renamed: a copy that is at work keeps its file.
    let arranged = folder.join("arranged");
    workspace::run_without(UNKNOWN_FORM, command(&bolt, ORDER).arg("-data").arg(&merged).arg("-o").arg(&arranged).arg(compiled))?;
    std::fs::rename(&arranged, shipped).context(shipped.display())
}

/// What each gateway that was watched left.
fn counted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).context(folder.display())? {
        let file = entry.context(folder.display())?.path();
        if file.extension().is_some_and(|extension| extension == "fdata") {
            files.push(file);
        }
    }
    if files.is_empty() { Err(Error::new(format!("no gateway that was watched left counts in {}", folder.display()))) } else { Ok(files) }
}
