//! Which paths decide what a file is: the file, and every symbolic link on the way to it. A Kubernetes ConfigMap changes by
//! one link among them (`..data`), and no event ever names the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// Adds the paths that decide what `file` is, whether it exists or not.
pub(super) fn collect(file: &Path, paths: &mut BTreeSet<PathBuf>) {
    let mut whole = file.to_owned();
    for _ in 0..MAX_LINKS {
        match first_link(&whole) {
            Some((link, target)) => {
                paths.insert(link);
                whole = target;
            }
            None => break,
        }
    }
    paths.insert(walked(&whole));
}

/// Without `..`, which leads back where no link is on the way: a folder is told of by one name.
fn walked(path: &Path) -> PathBuf {
    let mut walked = PathBuf::new();
    path.components().for_each(|component| step(&mut walked, component));
    walked
}

fn step(walked: &mut PathBuf, component: Component<'_>) {
    match component {
        Component::ParentDir => {
            walked.pop();
        }
        Component::CurDir => {}
        other => walked.push(other),
    }
}

/// The first symbolic link on a path, and the path with its target in its place.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut walked = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        step(&mut walked, component);
        if let Ok(target) = fs::read_link(&walked) {
            let from = walked.parent().unwrap_or(Path::new("/"));
            return Some((walked.clone(), from.join(target).join(components.as_path())));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_of_a_config_map_is_found() {
        let folder = std::env::temp_dir().join(format!("plugway-interest-{}", std::process::id()));
        let folder = {
            fs::create_dir_all(folder.join("..one")).unwrap();
            fs::canonicalize(folder).unwrap()
        };
        fs::write(folder.join("..one/auth.wasm"), "one").unwrap();
        symlink("..one", folder.join("..data")).unwrap();
        symlink("..data/auth.wasm", folder.join("auth.wasm")).unwrap();
        let mut paths = BTreeSet::new();
        collect(&folder.join("auth.wasm"), &mut paths);
        collect(&folder.join("missing.wasm"), &mut paths);
        // By the name it has already.
        collect(&folder.join("..one/../missing.wasm"), &mut paths);
        let expected = ["..data", "..one/auth.wasm", "auth.wasm", "missing.wasm"].map(|name| folder.join(name));
        assert_eq!(paths.into_iter().collect::<Vec<_>>(), expected);
        // A link to itself ends.
        symlink("loop", folder.join("loop")).unwrap();
        collect(&folder.join("loop"), &mut BTreeSet::new());
        fs::remove_dir_all(folder).unwrap();
    }
}
