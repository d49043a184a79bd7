//! `secrets`: what a plugin must know and nobody may read in a configuration: from files or the environment, by name.
//!
//! A value goes to the guest that was granted it, and nowhere else: it has no `Display`, its `Debug` shows nothing, and no error
//! has a part of it. What a guest lets slip is [masked](Secrets::mask) where its words leave it for logs and metrics.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::config::model::SecretSource;
use crate::config::read_bounded;

/// Largest secret, bytes.
const LARGEST: u64 = 64 << 10;
/// Shortest text that is masked, bytes: what is shorter would be found in words that have nothing to do with it.
const SHORTEST_MASKED: usize = 8;

/// One secret. Clones share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

/// The secrets one plugin was granted, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    by_name: BTreeMap<String, Secret>,
    /// What is masked and the name of its secret, longest first: one that begins another must leave nothing of that.
    masked: Vec<(Secret, String)>,
}

// === impl Secret ===

impl Secret {
    /// Reads one from where it is.
    ///
    /// # Errors
    /// What is wrong with the file or the variable, and never a part of the secret.
    pub fn read(source: &SecretSource) -> Result<Self, String> {
        match source {
            SecretSource::File(path) => read_file(path).map_err(|why| format!("{} cannot be read: {why}", path.display())),
            SecretSource::Environment(name) => {
                let value = std::env::var_os(name).ok_or_else(|| format!("there is no variable `{name}` in the environment"))?;
                let value = value.into_encoded_bytes();
                match value.len() as u64 {
                    0 => Err(format!("the variable `{name}` is empty")),
                    1..=LARGEST => Ok(Self(value.into())),
                    _ => Err(format!("the variable `{name}` has more than 64 KiB")),
                }
            }
        }
    }

    /// What it is.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Nothing of it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

fn read_file(path: &Path) -> Result<Secret, String> {
    let mut bytes = read_bounded(path, LARGEST)?;
    // An editor ends a text with a line break, which is not part of what it says. Other files are what they are.
    if let Ok(text) = std::str::from_utf8(&bytes) {
        let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
        bytes.truncate(text.len());
    }
    if bytes.is_empty() { Err("it is empty".to_owned()) } else { Ok(Secret(bytes.into())) }
}

// === impl Secrets ===

impl Secrets {
    /// The secret of that name.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.by_name.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Bytes of the longest: what is to be masked must not be cut before.
    pub fn longest(&self) -> usize {
        self.by_name.values().map(|secret| secret.bytes().len()).max().unwrap_or_default()
    }

    /// A text in which `[secret NAME]` stands for each secret of 8 bytes or more. A net under a plugin that makes a mistake, not a wall
    /// around one that means harm: what it has encoded or cut is not found.
    pub fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for (part, name) in &self.masked {
            let Ok(part) = std::str::from_utf8(part.bytes()) else { continue };
            if masked.contains(part) {
                masked = Cow::Owned(masked.replace(part, &format!("[secret {name}]")));
            }
        }
        masked
    }

    /// At most so many bytes of a masked text: it is masked before it is cut, which could leave a part of a secret, and no more of it is
    /// looked at than that takes.
    pub fn shown<'t>(&self, text: &'t str, most: usize) -> Cow<'t, str> {
        match self.mask(cut(text, most.saturating_add(self.longest()))) {
            Cow::Borrowed(text) => Cow::Borrowed(cut(text, most)),
            Cow::Owned(text) => Cow::Owned(cut(&text, most).to_owned()),
        }
    }
}

/// As much of a text as so many bytes hold, cut between characters.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

impl FromIterator<(String, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(secrets: I) -> Self {
        let by_name: BTreeMap<_, _> = secrets.into_iter().collect();
        let mut masked: Vec<_> = by_name.iter().flat_map(|(name, secret)| masked(secret).map(|part| (part, name.clone()))).collect();
        masked.sort_by_key(|(part, _)| std::cmp::Reverse(part.bytes().len()));
        Self { by_name, masked }
    }
}

/// What is masked of a secret. Of a key in many lines each may be logged on its own.
fn masked(secret: &Secret) -> impl Iterator<Item = Secret> {
    let text = std::str::from_utf8(secret.bytes()).unwrap_or_default();
    let parts = std::iter::once(text).chain(text.lines().filter(move |line| line.len() < text.len()));
    parts.filter(|part| part.len() >= SHORTEST_MASKED).map(|part| Secret(part.as_bytes().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret(text.as_bytes().into())
    }

    fn file(bytes: &[u8]) -> Result<Secret, String> {
        let file = tempfile();
        std::fs::write(&file, bytes).unwrap();
        let secret = Secret::read(&SecretSource::File(file.clone()));
        std::fs::remove_file(file).unwrap();
        secret
    }

    fn tempfile() -> std::path::PathBuf {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static FILES: AtomicUsize = AtomicUsize::new(0);
        std::env::temp_dir().join(format!("plugway-secret-{}-{}", std::process::id(), FILES.fetch_add(1, Ordering::Relaxed)))
    }

    #[test]
    fn a_text_ends_before_its_last_line_break_and_other_files_are_what_they_are() {
        for (bytes, secret) in [
            (&b"hunter2\n"[..], &b"hunter2"[..]),
            (b"hunter2\r\n", b"hunter2"),
            (b"hunter2", b"hunter2"),
            (b"two\nlines\n\n", b"two\nlines\n"),
            (b" spaces stay ", b" spaces stay "),
            (b"\xff\n", b"\xff\n"),
        ] {
            assert_eq!(file(bytes).unwrap().bytes(), secret);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_without_a_word_of_it() {
        assert!(file(b"").unwrap_err().ends_with("it is empty"));
        assert!(file(b"\n").unwrap_err().ends_with("it is empty"));
        assert!(file(&[b'x'; 64 << 10]).is_ok());
        let error = file(&[b'x'; (64 << 10) + 1]).unwrap_err();
        assert!(error.ends_with("it is larger than 64 KiB") && !error.contains("xx"), "{error}");
        assert!(Secret::read(&SecretSource::File(std::env::temp_dir())).unwrap_err().ends_with("it is no file"));
        let error = Secret::read(&SecretSource::Environment("PLUGWAY_NO_SUCH_VARIABLE".to_owned())).unwrap_err();
        assert_eq!(error, "there is no variable `PLUGWAY_NO_SUCH_VARIABLE` in the environment");
    }

    #[test]
    fn a_secret_shows_nothing() {
        let secrets: Secrets = [("key".to_owned(), secret("hunter2hunter2"))].into_iter().collect();
        assert!(!format!("{secrets:?}").contains("hunter2"), "{secrets:?}");
    }

    #[test]
    fn masks_what_a_plugin_lets_slip() {
        let secrets = [("key", "hunter2hunter2"), ("short", "abc"), ("pem", "-----BEGIN-----\nMC4CAQAwBQYDK2Vw\n-----END-----\n")];
        let secrets: Secrets = secrets.into_iter().map(|(name, text)| (name.to_owned(), secret(text))).collect();
        assert_eq!(secrets.mask("got hunter2hunter2, twice hunter2hunter2."), "got [secret key], twice [secret key].");
        assert_eq!(secrets.mask("line MC4CAQAwBQYDK2Vw"), "line [secret pem]");
        assert!(matches!(secrets.mask("abc is in every alphabet"), Cow::Borrowed("abc is in every alphabet")));
    }

    #[test]
    fn a_secret_that_begins_another_leaves_nothing_of_it() {
        for names in [["a", "b"], ["b", "a"]] {
            let secrets: Secrets = names
                .into_iter()
                .zip(["hunter2hunter2", "hunter2hunter2-and-more"])
                .map(|(name, text)| (name.to_owned(), secret(text)))
                .collect();
            let shown = format!("[secret {}] or [secret {}]", names[1], names[0]);
            assert_eq!(secrets.mask("hunter2hunter2-and-more or hunter2hunter2"), shown);
        }
    }

    #[test]
    fn a_cut_leaves_no_part_of_a_secret() {
        let secrets: Secrets = [("key".to_owned(), secret("hunter2hunter2"))].into_iter().collect();
        assert_eq!(secrets.shown("1234 hunter2hunter2 and more", 10), "1234 [secr");
        assert_eq!(secrets.shown("1234 hunter2hunter2 and more", 20), "1234 [secret key] an");
        let long = "ä".repeat(4096);
        for secrets in [secrets, Secrets::default()] {
            assert_eq!(secrets.shown(&long, 4096).len(), 4096);
            assert_eq!(secrets.shown(&format!("x{long}"), 4096).len(), 4095);
            assert!(matches!(secrets.shown("short", 4096), Cow::Borrowed("short")));
        }
    }
}
