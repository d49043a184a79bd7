//! Folders that come and go, and the names they are known by.

use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, channel};

use plugway_harness::temp::TempDir;

use super::*;

/// So long nothing is told when all was told.
const TOLD: Duration = Duration::from_millis(100);
/// For what must be told, on a machine with neighbours too.
const PATIENCE: Duration = Duration::from_secs(20);

/// One file and the folder of its kind, and what the kernel tells of them.
struct Scene {
    watch: Watch,
    told: Receiver<Touched>,
    file: PathBuf,
    listed: PathBuf,
}

impl Scene {
    fn new(file: PathBuf, listed: PathBuf) -> Self {
        let (sender, told) = channel();
        let watch = Watch::new(move |touched| drop(sender.send(touched)));
        let mut scene = Self { watch, told, file, listed };
        scene.looks();
        scene
    }

    /// What whoever reads the files does, and nothing happens meanwhile.
    fn looks(&mut self) {
        self.looks_beside(&self.file.clone());
    }

    /// The same where another file is watched, too.
    fn looks_beside(&mut self, beside: &Path) {
        self.watch.follow([self.file.as_path(), beside].into_iter(), &self.listed);
        self.watch.looked();
        self.hears();
        assert_eq!(self.watch.due(Instant::now()), None, "nothing has happened");
    }

    /// Hears all that is told.
    fn hears(&mut self) {
        while let Ok(touched) = self.told.recv_timeout(TOLD) {
            self.watch.touched(Instant::now(), &touched);
        }
    }

    /// Waits until there is something to look at.
    fn notices(&mut self, what: &str) {
        let began = Instant::now();
        while self.watch.due(Instant::now()).is_none() {
            assert!(began.elapsed() < PATIENCE, "{what} was not noticed");
            self.hears();
        }
        self.hears();
    }
}

#[test]
fn a_folder_that_is_made_anew_is_watched_though_it_may_have_the_number_of_the_one_before() {
    let folder = TempDir::new().unwrap();
    let plugins = folder.path().join("a/plugins.d");
    let file = plugins.join("auth.wasm");
    let make = |content: &str| {
        fs::create_dir_all(&plugins).unwrap();
        fs::write(&file, content).unwrap();
    };
    make("1");
    // The folder above it is watched, as that of a configuration is, and is not.
    for beside in [folder.path().join("a/plugway.toml"), file.clone()] {
        let mut scene = Scene::new(file.clone(), plugins.clone());
        for _ in 0..2 {
            scene.looks_beside(&beside);
            fs::remove_dir_all(&plugins).unwrap();
            make("2");
            scene.notices("that it was made anew");
            scene.looks_beside(&beside);
            fs::write(&file, "3").unwrap();
            scene.notices("what was written in it");
        }
        scene.looks_beside(&beside);
        let aside = folder.path().join("aside");
        fs::rename(&plugins, &aside).unwrap();
        fs::rename(&aside, &plugins).unwrap();
        scene.notices("that it was away");
        scene.looks_beside(&beside);
        fs::write(&file, "4").unwrap();
        scene.notices("what was written when it was back");
    }
}

#[test]
fn a_folder_that_is_named_by_a_link_or_from_here_is_watched_by_its_one_name() {
    let folder = TempDir::new().unwrap();
    // Its name stands before and behind that of the link.
    for (real, link) in [("a-real", "plugins.d"), ("z-real", "others.d")] {
        let [real, link] = [real, link].map(|name| folder.path().join(name));
        fs::create_dir(&real).unwrap();
        fs::write(real.join("auth.wasm"), "1").unwrap();
        symlink(&real, &link).unwrap();
        // As far up as there is, and down again.
        let up: PathBuf = std::iter::repeat_n("..", 64).collect();
        let from_here = up.join(link.strip_prefix("/").unwrap());
        for listed in [link.clone(), from_here] {
            let mut scene = Scene::new(listed.join("auth.wasm"), listed.clone());
            fs::write(link.join("auth.wasm"), "2").unwrap();
            scene.notices("what was written in place");
            scene.looks();
            fs::write(link.join("other.wasm"), "1").unwrap();
            scene.notices("one more file");
            fs::remove_file(link.join("other.wasm")).unwrap();
        }
    }
}

#[test]
fn where_only_looking_helps_it_is_looked_every_so_often_and_at_no_other_turn() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let mut watch = Watch::new(drop);
    watch.follow(std::iter::once(missing.join("auth.wasm").as_path()), &missing);
    let began = Instant::now();
    for turn in 0..3_u32 {
        let now = began + POLL * turn;
        assert_eq!((watch.look(now), watch.look(now + defaults::SETTLE)), (None, Some(Look { is_last: false })), "turn {turn}");
        watch.looked();
        let between = now + POLL / 2;
        assert_eq!((watch.look(between), watch.due(between)), (None, Some(now + POLL)), "turn {turn}");
    }
}
