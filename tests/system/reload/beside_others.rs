//! What is bad keeps nothing back that is good beside it, and is said whatever else is known to be bad.

use super::{Scene, metric, replace, status, until, version};

fn configuration(scene: &Scene) -> String {
    status(&scene.gateway)["configuration"]["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_configuration_that_breaks_beside_a_bad_file_is_said_and_mended_as_ever() {
    let scene = Scene::new("");
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    replace(&scene.file(), b"nothing");
    until("the file is rejected", || scene.reloads("rejected") == 1.0);
    for (broken, says) in [("[routes", "plugway.toml:"), ("workers = 3\n", "workers: this cannot change")] {
        let rejected = scene.reloads("rejected");
        replace(&scene.config_file(), if says.starts_with("workers") { text.replace("workers = 1\n", broken) } else { broken.to_owned() });
        until("the configuration is rejected, too", || scene.reloads("rejected") > rejected);
        let shown = status(&scene.gateway)["configuration"].clone();
        assert_eq!(shown["state"], "rejected", "{shown:#}");
        assert!(shown["rejected"]["reason"].as_str().unwrap().contains(says), "{shown:#}");
        assert_ne!(shown["digest"], shown["rejected"]["digest"], "it is not what serves: {shown:#}");
        assert_eq!(scene.plugin()["file"], "rejected");
        replace(&scene.config_file(), &text);
        until("it is taken back", || configuration(&scene) == "serving");
        assert_eq!(metric(&scene.gateway, "plugway_rejected_file", &[]), 1.0, "the other one is as it was");
    }
    scene.still_serves(1);
}

#[test]
fn a_file_that_breaks_beside_a_bad_configuration_is_said() {
    let scene = Scene::new("");
    replace(&scene.config_file(), "[routes");
    until("the configuration is rejected", || scene.reloads("rejected") == 1.0);
    replace(&scene.file(), b"nothing");
    until("the file is rejected, too", || scene.plugin()["file"] == "rejected");
    assert_eq!(configuration(&scene), "rejected");
    scene.still_serves(1);
    replace(&scene.file(), version(2));
    scene.serves(2);
    assert_eq!(configuration(&scene), "rejected");
}

#[test]
fn a_new_plugin_with_a_bad_file_keeps_nothing_else_back() {
    let scene = Scene::new("");
    let plugins = scene.gateway.directory().join("plugins.d");
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    std::fs::write(plugins.join("later.wasm"), version(2)).unwrap();
    replace(&scene.config_file(), format!("{text}\n[plugins.later]\nsource = \"later.wasm\"\n"));
    scene.has_swapped(1.0);
    std::fs::write(plugins.join("audit.wasm"), b"nothing").unwrap();
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    let next = text.replace("plugins = [\"auth\"]", "plugins = [\"auth\", \"audit\"]");
    let next = format!("{next}\n[plugins.audit]\nsource = \"audit.wasm\"\nconfig = {{ mode = \"version\" }}\n");
    replace(&scene.config_file(), next);
    until("there is nothing to serve it by", || configuration(&scene) == "rejected");
    let unused = status(&scene.gateway)["unused_plugins"].clone();
    assert_eq!((unused[0]["name"].as_str(), unused.as_array().map(Vec::len)), (Some("later"), Some(1)), "{unused:#}");
    for number in [2, 3] {
        replace(&scene.file(), version(number));
        scene.serves(number);
        assert_eq!(configuration(&scene), "rejected");
    }
    replace(&plugins.join("audit.wasm"), version(3));
    until("it is served when its file is good", || configuration(&scene) == "serving");
    scene.still_serves(3);
    assert_eq!(status(&scene.gateway)["plugins"].as_array().unwrap().len(), 2);
}
