use plugway_harness::ca::Authority;
use plugway_harness::temp::TempDir;

use super::*;

/// TLS with one certificate for each of these lists of names.
fn built(certificates: &[&[&str]]) -> Result<ServerTls, Vec<SettingError>> {
    let directory = TempDir::new().unwrap();
    let authority = Authority::new("root").unwrap();
    let write = |(number, names): (usize, &&[&str])| {
        let files = authority.server(names).unwrap().write(directory.path(), &number.to_string()).unwrap();
        CertificateFiles { certificate: files.certificate, key: files.key }
    };
    let certificates = certificates.iter().enumerate().map(write).collect();
    ServerTls::build(&ListenerTls { certificates, client_auth: ClientAuth::None, http2: true })
}

#[test]
fn a_name_chooses_the_most_specific_certificate_and_the_first_of_two() {
    let tls =
        built(&[&["a.example"], &["*.w.example", "127.0.0.1"], &["b.example", "A.EXAMPLE"], &["*.c.w.example", "b.example"]]).unwrap();
    let chosen = |name: Option<&str>| {
        tls.asked.certificates.all.iter().position(|one| std::ptr::eq(one, tls.asked.certificates.choose(name).unwrap())).unwrap()
    };
    for (name, number) in [
        (Some("a.example"), 0),
        (Some("A.Example"), 0),
        (Some("b.example"), 2),
        (Some("c.w.example"), 1),
        (Some("X.W.example"), 1),
        (Some("x.c.w.example"), 3),
        (Some("y.x.c.w.example"), 0),
        (Some("w.example"), 0),
        (Some("x.b.example"), 0),
        (Some("example"), 0),
        (Some(""), 0),
        (None, 0),
    ] {
        assert_eq!(chosen(name), number, "{name:?}");
    }
}

#[test]
fn only_the_certificate_that_was_shown_covers_a_host() {
    let tls = built(&[&["a.example", "*.w.example", "127.0.0.1", "::1"], &["b.example"]]).unwrap();
    for host in ["a.example", "A.EXAMPLE", "a.example.", "x.w.example", "127.0.0.1", "[::1]", "[0:0:0:0:0:0:0:1]"] {
        assert!(tls.covers(None, host) && tls.covers(Some("a.example"), host), "{host}");
        assert!(!tls.covers(Some("b.example"), host), "{host}");
    }
    for host in
        ["", ".", "b.example", "w.example", ".w.example", "y.x.w.example", "xa.example", "127.0.0.2", "[::2]", "example", "a.example.."]
    {
        assert!(!tls.covers(None, host), "{host}");
    }
    assert!(tls.covers(Some("b.example"), "b.example"));
}

#[test]
fn a_certificate_for_addresses_alone_is_good_and_one_for_nothing_is_not() {
    assert!(built(&[&["127.0.0.1"]]).unwrap().covers(None, "127.0.0.1"));
    let error = built(&[&["a.example"], &[]]).unwrap_err();
    let [SettingError { setting, problem }] = error.as_slice() else { panic!("{error:?}") };
    assert!(setting == "certificates[1].certificate" && problem.contains("1.pem") && problem.contains("subjectAltName"), "{error:?}");
}

#[test]
fn every_file_that_cannot_be_used_is_told() {
    let files = |name: &str| CertificateFiles { certificate: format!("{name}.pem").into(), key: format!("{name}.key").into() };
    let certificates = vec![files("no-such-a"), files("no-such-b")];
    let client_auth = ClientAuth::Required { ca: "no-such-ca.pem".into() };
    let errors = ServerTls::build(&ListenerTls { certificates, client_auth, http2: true }).unwrap_err();
    let settings: Vec<_> = errors.iter().map(|error| error.setting.as_str()).collect();
    let expected =
        ["certificates[0].certificate", "certificates[0].key", "certificates[1].certificate", "certificates[1].key", "client_auth.ca"];
    assert_eq!(settings, expected, "{errors:?}");
}
