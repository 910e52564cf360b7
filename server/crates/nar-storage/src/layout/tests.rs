#![allow(clippy::unwrap_used)]

use nix_formats::{Compression, FileHash};
use proptest::prelude::*;

use super::*;

const HASH: &str = "00bgd045z0d4icpbc2yyz4gx48ak44la";
const DERIVATION: &str = "00bgd045z0d4icpbc2yyz4gx48ak44la-net-tools-1.60_p20170221182432.drv";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn keys_are_the_names_that_nix_asks_for() {
    let hash: StorePathHash = HASH.parse().unwrap();
    let file_hash = FileHash::parse(SHA256).unwrap();
    let nar = NarFileName { file_hash, compression: Compression::Zstd };
    assert_eq!(nar_key(&nar).as_str(), "nar/1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s.nar.zst");
    assert_eq!(narinfo_key(&hash).as_str(), format!("{HASH}.narinfo"));
    assert_eq!(listing_key(&hash).as_str(), format!("{HASH}.ls"));
    assert_eq!(log_key(DERIVATION).unwrap().as_str(), format!("log/{DERIVATION}"));
    assert_eq!(
        realisation_key(&format!("sha256:{SHA256}!out")).unwrap().as_str(),
        format!("realisations/sha256:{SHA256}!out.doi"),
    );
    assert_eq!(
        build_trace_key(DERIVATION, "out").unwrap().as_str(),
        format!("build-trace-v2/{DERIVATION}/out.doi"),
    );
    assert_eq!(debuginfo_key(&SHA256[..40]).unwrap().as_str(), format!("debuginfo/{}.debug", &SHA256[..40]));
    assert_eq!(nix_cache_info_key().as_str(), "nix-cache-info");
}

#[test]
fn names_of_other_things_have_no_key() {
    for derivation in
        ["", "x.drv", "../etc/passwd.drv", HASH, &format!("{HASH}-x"), &format!("{HASH}-a/b.drv")]
    {
        assert!(log_key(derivation).is_err(), "{derivation}");
        assert!(build_trace_key(derivation, "out").is_err(), "{derivation}");
    }
    for output in ["", ".", "..", ".hidden", "a/b", "a b", "a!b", &"a".repeat(212)] {
        assert!(build_trace_key(DERIVATION, output).is_err(), "{output}");
        assert!(realisation_key(&format!("sha256:{SHA256}!{output}")).is_err(), "{output}");
    }
    for id in ["", "out", "!", "sha256:ba78!out", &format!("{SHA256}!out"), &format!("md5:{SHA256}!out")] {
        assert!(realisation_key(id).is_err(), "{id}");
    }
    for build_id in ["", "ab", &SHA256[..39], &SHA256[..41], &SHA256[..40].to_uppercase()] {
        assert!(debuginfo_key(build_id).is_err(), "{build_id}");
    }
}

#[test]
fn the_longest_names_that_nix_allows_fit_a_key() {
    let derivation = format!("{HASH}-{}.drv", "a".repeat(207));
    assert!(Key::new(log_key(&derivation).unwrap().as_str()).is_ok());
    assert!(Key::new(build_trace_key(&derivation, &"a".repeat(211)).unwrap().as_str()).is_ok());
}

proptest! {
    #[test]
    fn whatever_gets_a_key_gets_a_valid_one(name in ".{0,40}", output in "[a-z./!]{0,8}") {
        let derivation = format!("{HASH}-{name}.drv");
        let keys = [
            log_key(&derivation),
            build_trace_key(&derivation, &output),
            realisation_key(&format!("sha256:{SHA256}!{output}")),
            debuginfo_key(&name),
        ];
        for key in keys.into_iter().flatten() {
            prop_assert_eq!(Key::new(key.as_str()).unwrap(), key);
        }
    }
}
