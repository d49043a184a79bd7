//! What somebody may put in a plugin's place to hold the gateway up, or to fill it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::{Scene, replace, until, version};
use crate::guest::refused;

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What is made in the plugin's place is not taken, and says so; nobody notices, and a good file mends it.
fn is_not_taken(scene: &Scene, says: &str, make: impl FnOnce(&Path)) {
    let beside = scene.file().with_extension("new");
    make(&beside);
    fs::rename(&beside, scene.file()).unwrap();
    until(&format!("it is seen: {says}"), || scene.plugin()["file"].as_str().is_some_and(|file| file.contains(says)));
    scene.still_serves(1);
    fs::remove_file(scene.file()).unwrap();
    replace(&scene.file(), version(1));
    until("a good file mends it", || scene.plugin()["file"] == "serving");
    scene.still_serves(1);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let scene = Scene::new("");
    is_not_taken(&scene, "it is no file", pipe);
    is_not_taken(&scene, "it is no file", |place| symlink("/dev/zero", place).unwrap());
    is_not_taken(&scene, "cannot be read", |place| symlink("auth.wasm", place).unwrap());
    // Larger than the machine, and all of it nothing.
    is_not_taken(&scene, "it is larger than 256 MiB", |place| File::create(place).unwrap().set_len(1 << 40).unwrap());
    replace(&scene.file(), version(2));
    scene.serves(2);
}

#[test]
fn a_signature_that_is_no_file_is_not_waited_for() {
    let scene = Scene::new("");
    let beside = scene.file().with_file_name("auth.wasm.sig");
    pipe(&beside);
    replace(&scene.file(), version(2));
    scene.serves(2);
    fs::remove_file(&beside).unwrap();
    symlink("/dev/zero", &beside).unwrap();
    replace(&scene.file(), version(3));
    scene.serves(3);
}

#[test]
fn at_the_start_it_is_an_error() {
    let directory = plugway_harness::temp::TempDir::new().unwrap();
    let place = directory.path().join("auth.wasm");
    pipe(&place);
    let text = refused(&format!(
        "[listen.web]\naddress = \"127.0.0.1:0\"\n[plugins.auth]\nsource = {place:?}\n[upstreams.up]\n\
         endpoints = [\"http://127.0.0.1:9\"]\n[[routes]]\nname = \"all\"\npublic = true\nplugins = [\"auth\"]\nupstream = \"up\"\n",
    ));
    assert!(text.contains("auth.wasm cannot be read: it is no file"), "{text}");
}
