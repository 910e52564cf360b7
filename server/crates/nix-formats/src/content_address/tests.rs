#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const FOO: &str = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c";

fn hash_of(address: &str, name: &str, references: &[&str], refers_to_itself: bool) -> String {
    let references: Vec<_> = references.iter().map(|base| StorePath::from_base_name(base).unwrap()).collect();
    let references: Vec<_> = references.iter().collect();
    let address = ContentAddress::parse(address).unwrap();
    address.store_path_hash(name, &references, refers_to_itself).unwrap().to_string()
}

/// What `nix-store --print-fixed-path` and `builtins.toFile` of Nix 2.8 say.
#[test]
fn store_paths_follow_as_nix_makes_them() {
    const SHA512: &str = "0cf9180a764aba863a67b6d72f0918bc131c6772642cb2dce5a34f0a702f9470ddc2bf125c12198b1995c233c34b4afd346c54a2334c350a948a51b6e8b4e6b6";
    for (address, expected) in [
        (format!("fixed:sha256:{FOO}"), "nsf3hsiclg73rbp31clqsq4mnd8icj3p"),
        (format!("fixed:r:sha256:{FOO}"), "r4zcv9ncxjplrwc2pzx2ghnbwdjric4g"),
        (
            "fixed:sha1:f1d2d2f924e986ac86fdf7b36c94bcdf32beec15".to_owned(),
            "yzzrsl5w8ibccyh3sf8fp766fwnfn982",
        ),
        (
            "fixed:r:sha1:f1d2d2f924e986ac86fdf7b36c94bcdf32beec15".to_owned(),
            "gw5gvwc2bwsvdlbq2b2mkvfvy6qnc4zp",
        ),
        ("fixed:md5:d3b07384d113edec49eaa6238ad5ff00".to_owned(), "jfhcwnq1852ccy9ad9nakybp2wadngnd"),
        ("fixed:r:md5:d3b07384d113edec49eaa6238ad5ff00".to_owned(), "gmmxgpy1jrzs86r5y05wy6wiy2m15xgi"),
        (format!("fixed:sha512:{SHA512}"), "as736rr116ian9qzg457f96j52ki8bm3"),
        (format!("fixed:r:sha512:{SHA512}"), "lfi2bfyyap88y45mfdwi4j99gkaxaj19"),
        (format!("text:sha256:{FOO}"), "54k1d2k1z09gfdvbn68nv914fb1ixhfl"),
    ] {
        assert_eq!(hash_of(&address, "foo", &[], false), expected, "{address}");
    }
}

#[test]
fn references_are_part_of_a_store_path() {
    let foo = "54k1d2k1z09gfdvbn68nv914fb1ixhfl-foo";
    let text = "text:sha256:17mhzaa640f06mhgxlw3gxm5krqkh78ccdhn4hxhni4s9wx7ks06";
    assert_eq!(hash_of(text, "bar", &[foo], false), "qywyrjiga8dc2l9z2vp1akl58waj7fad");
    assert_eq!(hash_of(text, "bar", &[foo, foo], false), "qywyrjiga8dc2l9z2vp1akl58waj7fad");
    let source = format!("fixed:r:sha256:{FOO}");
    assert_eq!(hash_of(&source, "x", &[foo], false), "f8r8sl05vsqryq30rszlyy80q1qh4srp");
    assert_eq!(hash_of(&source, "x", &[foo], true), "03yy1zqchgmndrvqsyai9kjww47cncp3");
    let foo = StorePath::from_base_name(foo).unwrap();
    let refused = |address: &str, references: &[&StorePath], itself| {
        ContentAddress::parse(address).unwrap().store_path_hash("x", references, itself).unwrap_err()
    };
    assert_eq!(refused(text, &[], true), ContentAddressError::SelfReference);
    for address in [format!("fixed:sha256:{FOO}"), "fixed:r:md5:d3b07384d113edec49eaa6238ad5ff00".to_owned()]
    {
        assert_eq!(refused(&address, &[&foo], false), ContentAddressError::References);
        assert_eq!(refused(&address, &[], true), ContentAddressError::References);
    }
}

#[test]
fn a_hash_may_come_in_any_encoding_and_leaves_in_one() {
    let expected = "fixed:r:sha256:0k4lwj58f2w5yh92ilrwy9917pycipbrdrr13vbb3yd02j09vfxm";
    for digits in [
        FOO,
        "0k4lwj58f2w5yh92ilrwy9917pycipbrdrr13vbb3yd02j09vfxm",
        "tbudgBSg+bHWHiHnlteNzN8TUvI80ygS9IULh4rklEw=",
    ] {
        let address = ContentAddress::parse(&format!("fixed:r:sha256:{digits}")).unwrap();
        assert_eq!(address.to_string(), expected);
    }
}

#[test]
fn what_is_no_content_address_is_refused() {
    use ContentAddressError::{Algorithm, Form, Hash};
    for (text, expected) in [
        ("", Form),
        ("nonsense", Form),
        ("fixed:", Form),
        ("fixed:sha256", Form),
        ("FIXED:sha256:x", Form),
        ("text:md5:d3b07384d113edec49eaa6238ad5ff00", Algorithm),
        ("fixed:crc32:d3b07384", Algorithm),
        ("fixed:git:md5:d3b07384d113edec49eaa6238ad5ff00", Algorithm),
        ("fixed:x:sha256:0k4lwj58f2w5yh92ilrwy9917pycipbrdrr13vbb3yd02j09vfxm", Algorithm),
        ("fixed:sha256:d3b07384d113edec49eaa6238ad5ff00", Hash),
        ("fixed:sha256:", Hash),
        ("fixed:r:sha256:ek4lwj58f2w5yh92ilrwy9917pycipbrdrr13vbb3yd02j09vfxm", Hash),
    ] {
        assert_eq!(ContentAddress::parse(text), Err(expected), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text: String) {
        let _ = ContentAddress::parse(&text);
        let _ = ContentAddress::parse(&format!("fixed:r:sha256:{text}"));
    }
}
