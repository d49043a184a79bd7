//! What a configuration says, the certificates, secrets and keys it names included, in a few bytes: whether a reload would change anything.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{Context, Digest, SHA256};

use crate::config::model::{CertificateFiles, ClientAuth, Config, ListenerTls, SecretSource, TlsProfile};
use crate::config::read_file;
use crate::tls_files::LARGEST;

/// Equal for what would be served alike. Plugin files have digests of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a whole configuration.
    pub(super) fn of(config: &Config) -> Self {
        let mut sum = Sum::new();
        // Where things stand in the file changes nothing.
        sum.text(&Config { places: Arc::default(), ..config.clone() });
        config.listeners.iter().filter_map(|listener| listener.tls.as_ref()).for_each(|tls| sum.listener(tls));
        for secret in &config.secrets {
            // The environment stays what it was at the start.
            if let SecretSource::File(file) = &secret.source {
                sum.file(file);
            }
        }
        config.trust.keys.iter().for_each(|key| sum.file(&key.file));
        for upstream in &config.upstreams {
            sum.profile(&upstream.tls);
            upstream.tls_profiles.values().for_each(|profile| sum.profile(profile));
        }
        sum.finish()
    }

    /// Of the TLS of one listener.
    pub(super) fn of_listener(tls: &ListenerTls) -> Self {
        let mut sum = Sum::new();
        sum.text(tls);
        sum.listener(tls);
        sum.finish()
    }
}

struct Sum(Context);

impl Sum {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// All that a value shows of itself, and that is all of it.
    fn text(&mut self, value: &impl std::fmt::Debug) {
        // Writing to it cannot fail.
        let _ = write!(self, "{value:?}");
    }

    fn listener(&mut self, tls: &ListenerTls) {
        tls.certificates.iter().for_each(|files| self.certificate(files));
        if let ClientAuth::Optional { ca } | ClientAuth::Required { ca } = &tls.client_auth {
            self.file(ca);
        }
    }

    fn profile(&mut self, profile: &TlsProfile) {
        profile.ca.iter().for_each(|ca: &PathBuf| self.file(ca));
        profile.client_certificate.iter().for_each(|files| self.certificate(files));
    }

    fn certificate(&mut self, files: &CertificateFiles) {
        self.file(&files.certificate);
        self.file(&files.key);
    }

    fn file(&mut self, file: &Path) {
        // What is larger is used by nobody.
        match read_file(file, LARGEST) {
            Ok(bytes) => self.0.update(ring::digest::digest(&SHA256, &bytes).as_ref()),
            // Whoever uses it says why.
            Err(_) => self.0.update(&[0; 32]),
        }
    }

    fn finish(self) -> Fingerprint {
        let digest: Digest = self.0.finish();
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Fingerprint(bytes)
    }
}

impl Write for Sum {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}
