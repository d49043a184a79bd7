use super::*;

const DIGEST: &str = "7d1a54127b222502f5b79b5fb0803061152a44f92b37e23c6527baf665d4da9a";
const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn key() -> SigningKey {
    SigningKey::generate().unwrap().0
}

fn signed(keys: &[&SigningKey]) -> SignatureFile {
    let mut file = SignatureFile::new(DIGEST);
    keys.iter().for_each(|key| file.sign(key).unwrap());
    file
}

fn trusting(named: &[(&str, &SigningKey)]) -> TrustedKeys {
    let mut keys = TrustedKeys::default();
    named.iter().for_each(|(name, key)| keys.trust(name, key.verifying_key()));
    keys
}

fn judge(keys: &TrustedKeys, file: &SignatureFile, digest: &str) -> Result<String, Untrusted> {
    keys.judge("a.wasm.sig".into(), file, digest).map(|(name, _)| name.to_string())
}

#[test]
fn what_is_written_is_read_again() {
    let (one, two) = (key(), key());
    let file = signed(&[&one, &two]);
    assert_eq!(SignatureFile::parse(&file.to_string()).unwrap(), file);
    // As an editor of another system may leave it.
    assert_eq!(SignatureFile::parse(&file.to_string().replace('\n', "\r\n")).unwrap(), file);
    // The first two lines are what is signed.
    assert!(file.to_string().as_bytes().starts_with(&message(DIGEST)));
}

#[test]
fn a_key_signs_once() {
    let (one, two) = (key(), key());
    let file = signed(&[&one, &two, &one]);
    assert_eq!(file.signers(DIGEST).map(|signer| signer.key).collect::<Vec<_>>(), [two.verifying_key(), one.verifying_key()]);
    let mut full = SignatureFile::new(DIGEST);
    (0..MOST_SIGNATURES).for_each(|_| full.sign(&key()).unwrap());
    assert!(full.sign(&key()).is_err());
    assert!((full.to_string().len() as u64) < MOST_BYTES);
}

#[test]
fn what_is_no_signature_file_is_said_by_line() {
    let good = signed(&[&key()]).to_string();
    for (text, why) in [
        ("", "does not begin with"),
        ("-----BEGIN PGP SIGNATURE-----\n", "does not begin with"),
        (&good.replace("v1", "v2"), "has the form `plugway plugin signature v2`"),
        (&good.replace("sha256:7d", "sha256:7D"), "has no digest"),
        (&good.replace("sha256:", "sha512:"), "has no digest"),
        (good.rsplit_once("ed25519").unwrap().0, "holds no signature"),
        (&good.replace("ed25519:", "ed448:"), "has no key and signature in line 3"),
        (&format!("{good}\n"), "has no key and signature in line 4"),
        (&good.replace("==", "="), "has no key and signature in line 3"),
    ] {
        let error = SignatureFile::parse(text).unwrap_err();
        assert!(error.contains(why), "{text:?}: {error}");
    }
}

#[test]
fn only_a_trusted_key_that_signed_these_bytes_counts() {
    let (release, stranger) = (key(), key());
    let keys = trusting(&[("release", &release)]);
    assert_eq!(judge(&keys, &signed(&[&release]), DIGEST).unwrap(), "release");
    assert_eq!(judge(&keys, &signed(&[&stranger, &release]), DIGEST).unwrap(), "release");
    assert!(matches!(judge(&keys, &signed(&[&stranger]), DIGEST), Err(Untrusted::Unknown { keys }) if keys == [stranger.verifying_key()]));
    assert!(matches!(judge(&keys, &signed(&[&release]), OTHER), Err(Untrusted::Altered { .. })));
    assert!(matches!(judge(&TrustedKeys::default(), &signed(&[&release]), DIGEST), Err(Untrusted::Unknown { .. })));
}

#[test]
fn a_signature_cannot_be_moved() {
    let (release, stranger) = (key(), key());
    let keys = trusting(&[("release", &release)]);
    // Under another digest, and under another key.
    let mut moved = signed(&[&release]);
    moved.digest = OTHER.to_owned();
    assert!(matches!(judge(&keys, &moved, OTHER), Err(Untrusted::Forged { name, .. }) if &*name == "release"));
    let mut claimed = signed(&[&stranger]);
    claimed.signatures[0].key = release.verifying_key();
    assert!(matches!(judge(&keys, &claimed, DIGEST), Err(Untrusted::Forged { .. })));
    // Every bit of it counts.
    for bit in 0..64 * 8 {
        let mut flipped = signed(&[&release]);
        flipped.signatures[0].bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(judge(&keys, &flipped, DIGEST).is_err(), "bit {bit}");
    }
    // And it is no signature of the bare digest.
    assert!(!release.verifying_key().verifies(DIGEST.as_bytes(), &release.sign(&message(DIGEST))));
}

#[test]
fn keys_are_pem_both_ways_and_nothing_prints_a_private_one() {
    let (signing, private) = SigningKey::generate().unwrap();
    let public = signing.verifying_key();
    assert_eq!(SigningKey::from_pem(private.as_bytes()).unwrap().verifying_key(), public);
    assert_eq!(VerifyingKey::from_pem(public.to_pem().as_bytes()).unwrap(), public);
    assert_eq!(public.to_string().parse::<VerifyingKey>().unwrap(), public);
    let secret = private.lines().nth(1).unwrap();
    assert!(!format!("{signing:?}").contains(secret.get(22..).unwrap()));
    // Each in the other's place, and something else.
    for wrong in [public.to_pem().as_bytes(), b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        let error = SigningKey::from_pem(wrong).unwrap_err().to_string();
        assert!(error.starts_with("holds ") && !error.contains(secret), "{error}");
    }
    assert!(VerifyingKey::from_pem(private.as_bytes()).is_err());
    assert!(SigningKey::from_pem(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap_err().to_string().contains("is encrypted"));
}

#[test]
fn reads_the_keys_of_rfc_8410() {
    // Section 10.1 and 10.3.
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let private =
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let key = VerifyingKey::from_pem(public.as_bytes()).unwrap();
    assert_eq!(SigningKey::from_pem(private.as_bytes()).unwrap().verifying_key(), key);
    assert_eq!(key.to_pem(), public);
}
