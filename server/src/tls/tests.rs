#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_star_in_a_certificate_stands_for_one_label() {
    assert!(names_host("cache.test", "CACHE.test"));
    assert!(names_host("*.cache.test", "main.cache.test"));
    for (name, host) in [
        ("*.cache.test", "cache.test"),
        ("*.cache.test", "a.b.cache.test"),
        ("*.cache.test", ".cache.test"),
        ("cache.test", "evilcache.test"),
        ("*.test", "test"),
    ] {
        assert!(!names_host(name, host), "{name} {host}");
    }
}

#[test]
fn files_that_hold_something_else_are_named_and_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certificate = file("c", "no certificate");
    let error = Identity::read(&Files { certificate, key: file("k", "-----BEGIN secret") }).err().unwrap();
    assert!(error.to_string().ends_with("holds no certificate in PEM format"), "{error}");
    let absent = Files { certificate: directory.path().join("absent"), key: directory.path().join("absent") };
    assert!(matches!(Identity::read(&absent), Err(TlsError::Read { .. })));
    assert!(!Tls::default().is_used());
    assert!(Tls::default().of_server().is_none() && Tls::default().of_port(1).is_none());
}
