//! What is accepted, and what the operator reads when it is not.

use plugway_sdk::testing::{self, json};

use super::*;
use crate::HashRouter;

fn accepted(config: serde_json::Value) -> Checked {
    serde_json::from_value::<Config>(config).unwrap().check().unwrap()
}

fn refused(config: serde_json::Value) -> String {
    testing::configure::<HashRouter>(config).unwrap_err()
}

#[test]
fn a_key_is_enough() {
    let checked = accepted(json!({"key": "path"}));
    assert_eq!(checked.hash, Hash::Xxh3);
    assert_eq!(checked.placement, Kind::Maglev(TableSize::new(65_537).unwrap()));
    assert_eq!(checked.missing_key, MissingKey::Spread);
    assert_eq!(checked.bounded_load, None);
}

#[test]
fn every_option_is_read() {
    let checked = accepted(json!({
        "key": [{"header": "x-user"}, "client-address"], "hash": "sha1", "placement": "maglev", "table_size": 251,
        "missing_key": "reject", "bounded_load": 1.25,
    }));
    assert_eq!(checked.hash, Hash::Sha1);
    assert_eq!(checked.placement, Kind::Maglev(TableSize::new(251).unwrap()));
    assert_eq!(checked.missing_key, MissingKey::Reject);
    assert_eq!(checked.bounded_load, Some(1.25));
}

#[test]
fn every_source_is_read() {
    let written = json!([
        "path", "client-address", {"parameter": "id"}, {"query": "q"}, {"header": "x-user"}, {"cookie": "sid"}, {"claim": "sub"}
    ]);
    let sources: Sources = serde_json::from_value(written).unwrap();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        sources.0,
        [
            Source::Path,
            Source::ClientAddress,
            Source::Parameter(text("id")),
            Source::Query(text("q")),
            Source::Header(text("x-user")),
            Source::Cookie(text("sid")),
            Source::Claim(text("sub")),
        ]
    );
    assert_eq!(serde_json::from_value::<Sources>(json!("path")).unwrap().0, [Source::Path]);
    assert_eq!(serde_json::from_value::<Sources>(json!({"query": "q"})).unwrap().0, [Source::Query(text("q"))]);
}

#[test]
fn ketama_placements_bring_their_own_hash() {
    assert_eq!(accepted(json!({"key": "path", "placement": "ketama"})).hash, Hash::Md5);
    assert_eq!(accepted(json!({"key": "path", "placement": "ketama", "hash": "md5"})).hash, Hash::Md5);
    assert_eq!(accepted(json!({"key": "path", "placement": "ketama-nginx"})).hash, Hash::Crc32);
    for (placement, hash) in [("ketama", "xxh3"), ("ketama", "sha1"), ("ketama-nginx", "md5"), ("ketama-nginx", "xxh3")] {
        let error = refused(json!({"key": "path", "placement": placement, "hash": hash}));
        assert!(error.starts_with("`hash`") && error.contains(placement), "{error}");
    }
    assert_eq!(accepted(json!({"key": "path", "placement": "rendezvous"})).placement, Kind::Rendezvous);
    assert_eq!(accepted(json!({"key": "path", "placement": "modulo", "hash": "md5"})).hash, Hash::Md5);
}

#[test]
fn errors_name_the_key() {
    for (config, says) in [
        (json!({}), "missing field `key`"),
        (json!({"key": "path", "tabel_size": 251}), "unknown field `tabel_size`"),
        (json!({"key": "url"}), "`key`: unknown variant `url`"),
        (json!({"key": {"head": "x"}}), "unknown variant `head`"),
        (json!({"key": {"header": "x", "query": "y"}}), "`key`"),
        (json!({"key": 7}), "a table such as { header"),
        (json!({"key": []}), "`key`: the list is empty"),
        (json!({"key": vec!["path"; 9]}), "`key`: 9 sources are too many"),
        (json!({"key": {"header": ""}}), "`header` needs a name"),
        (json!({"key": {"header": "x user"}}), "`x user` is not a legal name for a header"),
        (json!({"key": {"cookie": "a=b"}}), "`a=b` is not a legal name for a cookie"),
        (json!({"key": {"claim": "c".repeat(257)}}), "longer than 256 bytes"),
        (json!({"key": "path", "placement": "ring"}), "`placement`: unknown variant `ring`"),
        (json!({"key": "path", "hash": "crc32"}), "`hash`: unknown variant `crc32`"),
        (json!({"key": "path", "missing_key": "skip"}), "`missing_key`: unknown variant `skip`"),
        (json!({"key": "path", "table_size": 65_536}), "`table_size`: 65536 is not a prime; the next one is 65537"),
        (json!({"key": "path", "table_size": 13}), "`table_size`: 13 is outside 251 to 1000003"),
        (json!({"key": "path", "table_size": 4_000_000_000_u32}), "`table_size`: 4000000000 is outside"),
        (json!({"key": "path", "placement": "modulo", "table_size": 251}), "`table_size`: only"),
        (json!({"key": "path", "bounded_load": 1.0}), "`bounded_load`: 1 is outside"),
        (json!({"key": "path", "bounded_load": 101}), "`bounded_load`: 101 is outside"),
    ] {
        let error = refused(config.clone());
        assert!(error.contains(says), "{config} gave {error:?}, not {says:?}");
    }
}
