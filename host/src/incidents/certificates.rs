//! Since when and until when certificates are valid that the configuration names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use plugway_analysis::{Certificate, Minute};
use x509_parser::parse_x509_certificate;

use crate::config::model::{ClientAuth, Config, TlsProfile};
use crate::tls_files::read_certificates;

/// Those the gateway shows and those it trusts, by file: a file is what is renewed. One that cannot be read is somebody else's to say.
pub(super) fn of(config: &Config) -> Vec<Certificate> {
    let mut all = BTreeMap::new();
    for tls in config.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        tls.certificates.iter().for_each(|files| add(&mut all, &files.certificate, shown));
        if let ClientAuth::Optional { ca } | ClientAuth::Required { ca } = &tls.client_auth {
            add(&mut all, ca, trusted);
        }
    }
    for upstream in &config.upstreams {
        for TlsProfile { ca, client_certificate, .. } in std::iter::once(&upstream.tls).chain(upstream.tls_profiles.values()) {
            ca.iter().for_each(|ca| add(&mut all, ca, trusted));
            client_certificate.iter().for_each(|files| add(&mut all, &files.certificate, shown));
        }
    }
    all.into_values().flatten().collect()
}

/// Seconds since 1970: since when, and until when.
type Validity = (i64, i64);

fn add(all: &mut BTreeMap<Arc<str>, Option<Certificate>>, file: &Path, which: fn(&[Validity]) -> Option<Validity>) {
    let name: Arc<str> = file.display().to_string().into();
    all.entry(Arc::clone(&name)).or_insert_with(|| {
        let (since, until) = which(&validities(file))?;
        let minute = |at: i64| Minute(u64::try_from(at.div_euclid(60)).unwrap_or_default());
        Some(Certificate { name, not_before: minute(since), not_after: minute(until) })
    });
}

/// A chain is as good as the first of it that ends.
fn shown(chain: &[Validity]) -> Option<Validity> {
    chain.iter().copied().min_by_key(|(_, until)| *until)
}

/// Of several roots each may be enough: there is trouble when the last one ends.
fn trusted(roots: &[Validity]) -> Option<Validity> {
    roots.iter().copied().max_by_key(|(_, until)| *until)
}

fn validities(file: &Path) -> Vec<Validity> {
    let certificates = read_certificates(file).unwrap_or_default();
    let validity = |der: &[u8]| {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
    };
    certificates.iter().filter_map(|der| validity(der)).collect()
}
