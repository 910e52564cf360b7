//! What a check finds on this machine.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use nix_formats::SigningKey;

use super::*;
use crate::config::{Reach, Severity, check};

/// Paths and messages of what an online check finds, but for ports, which other tests may be using.
fn findings(loaded: &Loaded) -> Vec<(String, String)> {
    let found = check(loaded, Reach::Online).into_iter();
    let found = found.filter(|fault| !fault.path.ends_with("port"));
    found.map(|fault| (fault.path, fault.message)).collect()
}

#[test]
fn an_offline_check_looks_at_nothing_but_the_file() {
    let loaded = loaded(
        "{server: {key-file: /nowhere/key}, \
          caches: [{name: a, signing-key-file: /nowhere/sk, storages: [{name: s, root: /proc/x}]}]}",
    );

    assert_eq!(check(&loaded, Reach::Offline), []);
}

#[test]
fn only_upstreams_that_no_key_vouches_for_draw_a_warning() {
    let key = "a-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    let loaded = loaded(&format!(
        "{{caches: [{{name: a, upstreams: [nixos, 'https://a.example {key}', 'https://b.example']}}, \
          {{name: b, trusted-public-keys: ['{key}'], upstreams: ['https://c.example']}}]}}"
    ));

    let paths: Vec<String> = check(&loaded, Reach::Offline).into_iter().map(|fault| fault.path).collect();
    assert_eq!(paths, ["caches[0].upstreams[2]"]);
}

#[test]
fn a_machine_that_provides_everything_gives_no_fault() {
    let scene = Scene::new();
    scene.write("key", &"k".repeat(32));
    scene.write("sk", &SigningKey::generate("a-1").unwrap().to_nix_string());
    let loaded = scene.load("{server: {key-file: key}, caches: [{name: a, signing-key-file: sk}]}").unwrap();

    assert_eq!(findings(&loaded), []);
    assert!(!scene.path("home").exists(), "a check makes nothing");
}

#[test]
fn secrets_that_cannot_be_read_are_errors_with_their_line() {
    let scene = Scene::new();
    scene.write("empty", "");
    let yaml = "
server:
  key-file: missing
caches:
  - name: a
    storages:
      - name: s
        type: s3
        s3_bucket: b
        s3_region: r
        s3_access_key: x
        s3_secret_key_file: empty
";
    let loaded = scene.load(yaml).unwrap();

    let faults = check(&loaded, Reach::Online);
    let errors: Vec<_> = faults.iter().filter(|fault| fault.severity == Severity::Error).collect();
    let [key, secret] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!((key.path.as_str(), key.line), ("server.key-file", Some(3)));
    assert!(key.message.starts_with("cannot read /"), "{key}");
    assert_eq!((secret.path.as_str(), secret.line), ("caches[0].storages[0].s3_secret_key_file", Some(12)));
    assert_eq!(secret.message, format!("{} is empty", scene.path("empty").display()));
}

#[test]
fn secret_files_that_everybody_may_read_draw_a_warning() {
    let scene = Scene::new();
    let key = scene.write("key", &"k".repeat(32));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let loaded = scene.load("{server: {key-file: key}, caches: [{name: a}]}").unwrap();

    let message = format!("every user can read {}", key.display());
    assert_eq!(findings(&loaded), [("server.key-file".to_owned(), message)]);
}

#[test]
fn signing_keys_have_to_be_keys_of_different_names() {
    let scene = Scene::new();
    scene.write("one", &SigningKey::generate("a-1").unwrap().to_nix_string());
    scene.write("two", &SigningKey::generate("a-1").unwrap().to_nix_string());
    scene.write("bad", "a-1:hunter2");
    let loaded = scene.load("caches: [{name: a, signing-key-file: [one, two, bad]}]").unwrap();

    let found = findings(&loaded);
    let [(_, twice), (path, bad)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(twice, "two keys have the name `a-1`");
    assert_eq!(path, "caches[0].signing-key-file");
    assert!(bad.contains("/bad is not a signing key of Nix: ") && !bad.contains("hunter2"), "{bad}");
}

#[test]
fn directories_have_to_be_makeable() {
    let scene = Scene::new();
    scene.write("file", "");
    // A file in the way, because root may write anywhere.
    let yaml =
        "{server: {state-dir: file/state}, caches: [{name: a, storages: [{name: s, root: ../../file}]}]}";
    let loaded = scene.load(yaml).unwrap();

    let paths: Vec<_> = findings(&loaded).into_iter().map(|(path, _)| path).collect();
    // The admin socket is below the state directory, whose fault is told already.
    assert_eq!(paths, ["server.state-dir", "caches[0].storages[0].root"]);
}

#[test]
fn the_group_of_the_admin_socket_has_to_exist() {
    let found = findings(&loaded("{server: {admin-socket-group: no-such-group}, caches: [{name: a}]}"));
    let [(path, message)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(path, "server.admin-socket-group");
    assert!(message.starts_with("there is no group `no-such-group` in /etc/group"), "{message}");
}

#[test]
fn the_daemon_has_to_be_able_to_listen_where_it_is_told_to() {
    for (hostname, message) in [
        ("host.invalid", "`host.invalid` cannot be resolved: "),
        ("192.0.2.77", "`192.0.2.77` is not an address of this machine"),
        ("2001:db8::77", "`2001:db8::77` is not an address of this machine"),
    ] {
        let loaded = loaded(&format!("{{server: {{hostname: '{hostname}'}}, caches: [{{name: a}}]}}"));
        let faults = check(&loaded, Reach::Online);
        let errors: Vec<_> = faults.iter().filter(|fault| fault.severity == Severity::Error).collect();
        let [error] = errors.as_slice() else { panic!("{faults:?}") };
        assert_eq!(error.path, "server.hostname");
        assert!(error.message.starts_with(message), "{error}");
        // Another machine's system may be built here.
        assert_eq!(check(&loaded, Reach::Offline), []);
    }
    let loaded = loaded("{server: {dht-bind-address: 192.0.2.77}, caches: [{name: a}]}");
    let errors: Vec<_> =
        findings(&loaded).into_iter().filter(|(path, _)| path == "server.dht-bind-address").collect();
    assert_eq!(errors.len(), 1);
}

#[test]
fn a_port_in_use_is_a_warning() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let loaded = loaded(&format!("{{server: {{hostname: 127.0.0.1}}, caches: [{{name: a, port: {port}}}]}}"));

    let faults = check(&loaded, Reach::Online);
    let fault = faults.iter().find(|fault| fault.path == "caches[0].port").unwrap();
    assert_eq!(fault.severity, Severity::Warning);
    assert_eq!(fault.message, format!("{port} is in use on 127.0.0.1, perhaps by the running daemon"));
}
