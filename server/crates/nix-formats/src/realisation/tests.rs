#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::SigningKey;

const PATH: &str = "0c0w4f6a6b4g6l4gq4yfnrlpw1h7n1jl-hello";
const DERIVATION: &str = "ydh0b3ay41nb9cv9cb6kxcsbyk7c5kjc-hello.drv";

fn key() -> SigningKey {
    SigningKey::generate("cache-1").unwrap()
}

fn id() -> String {
    format!("sha256:{}!out", "ab".repeat(32))
}

fn traced(document: &Value) -> Result<Realisation, RealisationError> {
    let key = RealisationKey::Traced { derivation: DERIVATION.to_owned(), output: "out".to_owned() };
    Realisation::parse(key, document.to_string().as_bytes())
}

fn hashed(document: &Value) -> Result<Realisation, RealisationError> {
    Realisation::parse(RealisationKey::Hashed(id()), document.to_string().as_bytes())
}

#[test]
fn what_is_signed_is_what_nix_signs() {
    let realisation = traced(&json!({"outPath": PATH, "signatures": []})).unwrap();
    let expected = format!(
        r#"{{"key":{{"drvPath":"{DERIVATION}","outputName":"out"}},"value":{{"outPath":"{PATH}"}}}}"#
    );
    assert_eq!(realisation.fingerprints(), [expected]);

    let document = json!({"id": id(), "outPath": PATH, "signatures": [], "dependentRealisations": {}});
    let expected = format!(r#"{{"dependentRealisations":{{}},"id":"{}","outPath":"{PATH}"}}"#, id());
    assert_eq!(hashed(&document).unwrap().fingerprints(), std::slice::from_ref(&expected));

    let document =
        json!({"id": id(), "outPath": PATH, "dependentRealisations": {"z!out": PATH, "a!out": PATH}});
    let with = format!(
        r#"{{"dependentRealisations":{{"a!out":"{PATH}","z!out":"{PATH}"}},"id":"{}","outPath":"{PATH}"}}"#,
        id()
    );
    assert_eq!(hashed(&document).unwrap().fingerprints(), [expected, with]);
}

#[test]
fn signatures_are_read_in_both_forms_and_written_as_text() {
    let signature = key().sign("text");
    let text = signature.to_string();
    let (name, sig) = text.split_once(':').unwrap();
    let document = json!({"outPath": PATH, "later": [1], "signatures": [
        {"keyName": name, "sig": sig}, text, "no signature", {"keyName": "x"}, 3
    ]});
    let mut realisation = traced(&document).unwrap();
    assert_eq!(realisation.signatures(), std::slice::from_ref(&signature));
    assert!(!realisation.add_signatures([signature.clone()]));
    let other = key().sign("text");
    assert!(realisation.add_signatures([other.clone()]));
    let written: Value = serde_json::from_str(&realisation.to_json()).unwrap();
    assert_eq!(
        written,
        json!({"outPath": PATH, "later": [1], "signatures": [signature.to_string(), other.to_string()]})
    );
}

#[test]
fn a_file_holds_a_limited_number_of_signatures() {
    let mut realisation = traced(&json!({"outPath": PATH})).unwrap();
    let many: Vec<Signature> = (0..100).map(|number: u32| key().sign(&number.to_string())).collect();
    assert!(realisation.add_signatures(many));
    assert_eq!(realisation.signatures().len(), MOST_SIGNATURES);
}

#[test]
fn only_signatures_may_differ() {
    let document = |path: &str, sig: &[String]| json!({"id": id(), "outPath": path, "signatures": sig});
    let first = hashed(&document(PATH, &[])).unwrap();
    assert!(first.agrees_with(&hashed(&document(PATH, &[key().sign("x").to_string()])).unwrap()));
    let other = PATH.replace("hello", "other");
    assert!(!first.agrees_with(&hashed(&document(&other, &[])).unwrap()));
}

#[test]
fn what_is_no_realisation_is_refused() {
    let malformed = [
        json!([]),
        json!({}),
        json!({"outPath": 3}),
        json!({"outPath": format!("/nix/store/{PATH}")}),
        json!({"outPath": "../../etc/passwd"}),
    ];
    for document in malformed {
        assert_eq!(traced(&document), Err(RealisationError::Malformed), "{document}");
    }
    assert_eq!(traced(&json!("{")), Err(RealisationError::Malformed));
    assert_eq!(hashed(&json!({"outPath": PATH})), Err(RealisationError::OtherKey));
    assert_eq!(hashed(&json!({"outPath": PATH, "id": "sha256:00!out"})), Err(RealisationError::OtherKey));
    let document = json!({"outPath": PATH, "id": id(), "dependentRealisations": {"a": 1}});
    assert_eq!(hashed(&document), Err(RealisationError::Malformed));
}
