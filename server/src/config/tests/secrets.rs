//! Secrets, and the files that hold them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::config::{KeySource, Secret, SecretError, SecretSource, Severity};

#[test]
fn a_secret_shows_itself_only_when_asked() {
    let secret = Secret::new("hunter2".to_owned());

    assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    assert_eq!(secret.expose(), "hunter2");
}

#[test]
fn a_secret_file_is_read_without_its_last_newline() {
    let scene = Scene::new();
    let resolve = |content| SecretSource::File(scene.write("key", content)).resolve();

    assert_eq!(resolve("key\n").unwrap().expose(), "key");
    assert_eq!(resolve("key").unwrap().expose(), "key");
    assert_eq!(resolve(" a b \n\n").unwrap().expose(), " a b \n");
}

#[test]
fn a_secret_file_that_holds_none_is_named_and_not_quoted() {
    let scene = Scene::new();
    let missing = SecretSource::File(scene.path("missing")).resolve().unwrap_err();
    assert!(matches!(missing, SecretError::Read { .. }));
    assert!(missing.to_string().contains("missing"), "{missing}");

    let empty = SecretSource::File(scene.write("empty", "\n")).resolve().unwrap_err();
    assert!(matches!(empty, SecretError::Empty { .. }));

    let binary = scene.path("binary");
    fs::write(&binary, b"hunter2\xff").unwrap();
    let binary = SecretSource::File(binary).resolve().unwrap_err();
    assert!(matches!(binary, SecretError::NotText { .. }));
    assert!(!binary.to_string().contains("hunter2"));

    let endless = SecretSource::File(Path::new("/dev/zero").into()).resolve().unwrap_err();
    assert!(matches!(endless, SecretError::NotText { .. }));
}

#[test]
fn names_of_secret_files_begin_among_the_credentials_else_beside_the_file() {
    let mut scene = Scene::new();
    let yaml = "{server: {key-file: sub/key}, caches: [{name: a, signing-key-file: [one, /abs/two]}]}";
    let files = |scene: &Scene| {
        let config = scene.load(yaml).unwrap().config;
        let KeySource::File(key) = config.server.key else { panic!("{:?}", config.server.key) };
        (key, config.caches[0].signing_key_files.clone())
    };

    assert_eq!(files(&scene), (scene.path("sub/key"), vec![scene.path("one"), "/abs/two".into()]));
    scene.env.credentials_directory = Some("/run/credentials/x".into());
    let expected = vec!["/run/credentials/x/one".into(), "/abs/two".into()];
    assert_eq!(files(&scene), ("/run/credentials/x/sub/key".into(), expected));
}

#[test]
fn metrics_that_other_machines_can_read_without_a_token_draw_a_warning() {
    let scene = Scene::new();
    let warnings = |keys: &str| {
        let file = scene
            .write("config.yaml", &format!("server:\n  standalone: true\n{keys}\ncaches: [{{name: a}}]"));
        load(&file, &scene.env).unwrap().warnings
    };
    for (address, is_open) in
        [("127.0.0.1", false), ("[::1]", false), ("0.0.0.0", true), ("[::]", true), ("192.0.2.1", true)]
    {
        let address = format!("  metrics-address: '{address}:9105'");
        let found = warnings(&address);
        assert_eq!(found.len(), usize::from(is_open), "{address}: {found:?}");
        if is_open {
            assert_eq!((found[0].severity, found[0].line), (Severity::Warning, Some(3)));
            assert!(found[0].message.contains("can read the metrics"), "{found:?}");
            assert_eq!(warnings(&format!("{address}\n  metrics-token-file: /run/token")), []);
        }
    }
}

#[test]
fn a_file_with_secrets_that_everybody_may_read_draws_a_warning() {
    let scene = Scene::new();
    let yaml = format!("server: {{key: {}}}\ncaches: [{{name: a}}]", "k".repeat(32));
    let file = scene.write("config.yaml", &yaml);
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();

    mode(0o644);
    let warnings = load(&file, &scene.env).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert_eq!(warnings[0].message, "every user can read this file, and it contains `server.key`");

    mode(0o640);
    assert_eq!(load(&file, &scene.env).unwrap().warnings, []);
}
