//! How editors, copy tools and Kubernetes put files in place: each way gives one swap, or one rejection, and never half a file.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use plugway_harness::gateway::Launch;
use plugway_harness::upstream::Upstream;

use super::{LOOKED, Scene, meanwhile, replace, status, until, version, version_of};
use crate::common::{BINARY, metric};
use crate::guest::{config, get, route};

/// Longer than the gateway waits for the next piece of a file that nobody has open would have to be; a slow copy over a network.
const PAUSE: Duration = Duration::from_secs(5);

#[test]
fn a_writer_that_pauses_in_the_middle() {
    let scene = Scene::new("");
    let bytes = version(2);
    let (first, second) = bytes.split_at(bytes.len() / 3);
    let mut file = File::create(scene.file()).unwrap();
    file.write_all(first).unwrap();
    meanwhile(PAUSE, || scene.still_serves(1));
    file.write_all(second).unwrap();
    drop(file);
    scene.serves(2);
    scene.has_swapped(1.0);
}

#[test]
fn a_writer_that_closes_the_file_between_the_pieces() {
    let scene = Scene::new("");
    let bytes = version(2);
    let pieces: Vec<_> = bytes.chunks(bytes.len() / 4 + 1).collect();
    fs::write(scene.file(), pieces[0]).unwrap();
    for (piece, pause) in pieces[1..].iter().zip([PAUSE, LOOKED, LOOKED]) {
        meanwhile(pause, || scene.still_serves(1));
        File::options().append(true).open(scene.file()).unwrap().write_all(piece).unwrap();
    }
    scene.serves(2);
    scene.has_swapped(1.0);
}

#[test]
fn what_is_no_plugin_is_rejected_once_however_it_was_written() {
    let scene = Scene::new("");
    let rejected = |times: f64| {
        until("it is rejected", || scene.reloads("rejected") >= times);
        meanwhile(LOOKED, || scene.still_serves(1));
        assert_eq!((scene.reloads("swapped"), scene.reloads("rejected")), (0.0, times));
    };
    let mut broken = version(2);
    let middle = broken.len() / 2;
    broken[middle..middle + 64].fill(0xFF);
    // In two pieces, with a pause.
    let mut file = File::create(scene.file()).unwrap();
    file.write_all(&broken[..middle]).unwrap();
    meanwhile(PAUSE, || scene.still_serves(1));
    assert_eq!(scene.reloads("rejected"), 0.0);
    file.write_all(&broken[middle..]).unwrap();
    drop(file);
    rejected(1.0);
    // By a link that is flipped.
    let other = scene.file().with_file_name("..other");
    fs::write(&other, b"nothing").unwrap();
    symlink(&other, scene.file().with_extension("link")).unwrap();
    fs::rename(scene.file().with_extension("link"), scene.file()).unwrap();
    rejected(2.0);
}

#[test]
fn an_editor_that_moves_the_old_file_away_first() {
    let scene = Scene::new("");
    fs::rename(scene.file(), scene.file().with_extension("wasm~")).unwrap();
    fs::write(scene.file(), version(2)).unwrap();
    fs::remove_file(scene.file().with_extension("wasm~")).unwrap();
    scene.serves(2);
    meanwhile(LOOKED, || scene.still_serves(2));
    scene.has_swapped(1.0);
}

#[test]
fn a_config_map_that_flips_one_link() {
    let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
    let folder = launch.directory().join("plugins.d");
    let fill = |name: &str, number: u32| {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("auth.wasm"), version(number)).unwrap();
    };
    fill("..2026_11_25", 1);
    symlink("..2026_11_25", folder.join("..data")).unwrap();
    symlink("..data/auth.wasm", folder.join("auth.wasm")).unwrap();
    let plugin = "[plugins.auth]\nsource = \"auth.wasm\"\nconfig = { mode = \"version\" }\n";
    let gateway = launch.start(&config(&upstream, &[plugin, &route("public = true\nplugins = [\"auth\"]")])).unwrap();
    let serves = |number| version_of(&get(gateway.address("web").unwrap(), "/", &[])) == number;
    assert!(serves(1));
    for (number, name) in [(2, "..2026_11_26"), (3, "..2026_11_27")] {
        fill(name, number);
        symlink(name, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        until("the other folder serves", || serves(number));
        let swapped = || metric(&gateway, "plugway_reloads_total", &["result=\"swapped\""]);
        until("the swap is counted", || swapped() >= f64::from(number - 1));
        assert_eq!(swapped(), f64::from(number - 1));
    }
}

#[test]
fn eight_files_at_once_are_one_swap() {
    let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
    let folder = launch.directory().join("plugins.d");
    fs::create_dir(&folder).unwrap();
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let fill = |base: u32| {
        // Made before the first is written: they are to come together.
        let files: Vec<_> = (base..).zip(&names).map(|(number, name)| (folder.join(format!("{name}.wasm")), version(number))).collect();
        files.iter().for_each(|(file, content)| fs::write(file, content).unwrap());
    };
    fill(100);
    let plugins: String =
        names.iter().map(|name| format!("[plugins.{name}]\nsource = \"{name}.wasm\"\nconfig = {{ mode = \"version\" }}\n")).collect();
    let gateway = launch.start(&config(&upstream, &[&plugins, &route(&format!("public = true\nplugins = {names:?}"))])).unwrap();
    let swapped = || metric(&gateway, "plugway_reloads_total", &["result=\"swapped\""]);
    let digests =
        || -> Vec<String> { status(&gateway)["plugins"].as_array().unwrap().iter().map(|plugin| plugin["digest"].to_string()).collect() };
    let before = digests();
    fill(200);
    until("they serve", || swapped() >= 1.0);
    assert!(digests().iter().zip(&before).all(|(after, before)| after != before));
    meanwhile(LOOKED, || {});
    assert_eq!(swapped(), 1.0);
    // Eight that are none are one rejection, which names them all.
    let serving = digests();
    names.iter().for_each(|name| fs::write(folder.join(format!("{name}.wasm")), format!("nothing of {name}")).unwrap());
    let rejected = || metric(&gateway, "plugway_reloads_total", &["result=\"rejected\""]);
    until("they are rejected", || rejected() >= 1.0);
    meanwhile(LOOKED, || {});
    assert_eq!((swapped(), rejected(), metric(&gateway, "plugway_rejected_file", &[])), (1.0, 1.0, 8.0));
    assert_eq!(digests(), serving);
    // The last filter on the way in is the last in the chain, the last on the way out the first.
    let answer = get(gateway.address("web").unwrap(), "/", &[]);
    assert_eq!(crate::guest::seen(&answer, "x-version").as_deref(), Some("version-000207"));
    assert_eq!(answer.header("x-version"), Some(&b"version-000200"[..]));
}

#[test]
fn a_folder_that_is_replaced_as_a_whole() {
    let scene = Scene::new("");
    let folder = scene.file().parent().unwrap().to_owned();
    fs::rename(&folder, folder.with_extension("old")).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(scene.file(), version(2)).unwrap();
    scene.serves(2);
    // And the new one is watched.
    replace(&scene.file(), version(3));
    scene.serves(3);
}

#[test]
fn a_folder_that_is_removed_and_made_anew() {
    let scene = Scene::new("");
    let folder = scene.file().parent().unwrap().to_owned();
    // File systems give the new one the number of the old one, and it is watched all the same.
    for number in [2, 3] {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(scene.file(), version(number)).unwrap();
        scene.serves(number);
    }
    fs::write(scene.file(), version(4)).unwrap();
    scene.serves(4);
}

#[test]
fn files_in_a_folder_that_is_a_link() {
    let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
    let (folder, link) = (launch.directory().join("2026-11-26"), launch.directory().join("plugins.d"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("auth.wasm"), version(1)).unwrap();
    symlink(&folder, &link).unwrap();
    let plugin = "[plugins.auth]\nsource = \"auth.wasm\"\nconfig = { mode = \"version\" }\n";
    let gateway = launch.start(&config(&upstream, &[plugin, &route("public = true\nplugins = [\"auth\"]")])).unwrap();
    let serves = |number| version_of(&get(gateway.address("web").unwrap(), "/", &[])) == number;
    assert!(serves(1));
    // In place, and by another file of that name.
    fs::write(link.join("auth.wasm"), version(2)).unwrap();
    until("what was written serves", || serves(2));
    replace(&link.join("auth.wasm"), version(3));
    until("what took its place serves", || serves(3));
}
