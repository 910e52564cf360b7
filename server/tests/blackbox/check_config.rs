//! `cache-server check-config` and `print-config`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::daemon::DAEMON;

/// Runs the daemon's program with an empty home on a config file with this text.
fn run(arguments: &[&str], text: &str) -> (Output, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    fs::write(&file, text).unwrap();
    (program(directory.path()).args(arguments).arg(file).output().unwrap(), directory)
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(DAEMON);
    command.env_clear().env("HOME", home).current_dir(home);
    command
}

#[track_caller]
fn assert_ok(output: &Output) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaint}");
}

/// What a file of the original system looks like: each of its keys, and its loose way to write them.
const ORIGINAL: &str = r#"
server:
  database: "node.db"
  hostname: "0.0.0.0"
  standalone: false
  dht-port: 4222
  dht-bootstrap-host: "other-node"
  dht-bootstrap-port: 4223
  server-port: 15001
  deploy-port: 15002
  key: "your-secret-key-here"
  default-retention: 4
  default-port: 18080
  default-storage: "local"
  default-storage-strategy: "round-robin"

caches:
  - name: "main"
    retention: 7
    port: 18081
    access: "public"
    enabled: true
    storage-strategy: "split"
    storages:
      - name: "local-fast"
        type: "local"
        root: "binary-caches"
        split: 40
      - name: "external-usb"
        type: "local"
        root: "usb/binary-caches"
        split: 60
  - name: "second"
    access: private
    storages:
      - name: "remote"
        type: "s3"
        root: "binary-caches"
        s3_bucket: "cache-1"
        s3_region: "eu-central-1"
        s3_access_key: "access-key"
        s3_secret_key: "s3cret-key"

workspaces:
  - name: "office"
    cache: "main"

agents:
  - name: "web"
    workspace: "office"
"#;

#[test]
fn a_config_of_the_original_system_loads_as_it_is() {
    let (output, _) = run(&["check-config", "--offline"], ORIGINAL);
    assert_ok(&output);
}

const FAULTY: &str = r#"server:
  server-port: 70000
  hostnam: "127.0.0.1"
  key: "x"
caches:
  - name: "Main Cache"
    acess: public
    storages:
      - name: disk
        type: floppy
        root: store
  - name: second
    access: secret
  - name: second
workspaces:
  - name: office
    cache: nowhere
"#;

#[test]
fn every_fault_is_reported_at_once_with_its_place_and_what_was_expected() {
    let (output, _) = run(&["check-config", "--offline"], FAULTY);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let find = |place: &str| -> &str {
        text.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("{place} in:\n{text}"))
    };
    for (place, line) in [
        ("server.server-port", 2),
        ("server.hostnam", 3),
        ("caches[0].name", 6),
        ("caches[0].acess", 7),
        ("caches[0].storages[0].type", 10),
        ("caches[1].access", 13),
        ("caches[2].name", 14),
        ("workspaces[0].cache", 17),
    ] {
        assert!(find(place).contains(&format!("config.yaml:{line}:")), "line {line}: {}", find(place));
    }
    for (place, said) in [
        ("server.hostnam", "`hostname`"),
        ("caches[0].acess", "`access`"),
        ("caches[0].storages[0].type", "local"),
        ("caches[1].access", "private"),
        ("workspaces[0].cache", "nowhere"),
    ] {
        // The advice may stand on the lines below.
        let from = text.find(place).unwrap();
        let rest: String = text[from..].lines().take(3).collect::<Vec<_>>().join("\n");
        assert!(rest.contains(said), "{said} in {rest}");
    }
}

#[test]
fn broken_yaml_is_one_fault_with_its_line() {
    let (output, _) = run(&["check-config", "--offline"], "server:\n  hostname: [unclosed\ncaches: []\n");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("config.yaml:"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_faulty_config_does_not_start() {
    let (output, _) = run(&["--config"], FAULTY);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("hostnam") && text.contains("acess"), "{text}");
}

#[test]
fn a_config_that_is_not_there_is_said_to_be_missing() {
    let home = tempfile::tempdir().unwrap();
    for arguments in
        [&["check-config", "absent.yaml"][..], &["print-config", "absent.yaml"], &["--config", "absent.yaml"]]
    {
        let output = program(home.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("absent.yaml"), "{arguments:?}");
    }
}

#[test]
fn online_checks_look_at_this_machine() {
    let config = |key: &Path| {
        format!(
            "server:\n  key-file: {}\n  server-port: 15003\ncaches:\n  - name: main\n    port: 15004\n",
            key.display()
        )
    };
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent.key");
    let (output, _) = run(&["check-config"], &config(&absent));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent.key"));
    // The same file is fine where it is only written, not used: at build time.
    let (output, _) = run(&["check-config", "--offline"], &config(&absent));
    assert_ok(&output);
    fs::write(&absent, "6b".repeat(32)).unwrap();
    let (output, _) = run(&["check-config"], &config(&absent));
    assert_ok(&output);
}

#[test]
fn the_effective_config_is_printed_without_secrets() {
    let (output, _) = run(&["print-config"], ORIGINAL);
    assert_ok(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    for secret in ["your-secret-key-here", "s3cret-key"] {
        assert!(!text.contains(secret), "{text}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains(secret));
    }
    for shown in ["server-port: 15001", "external-usb", "eu-central-1", "drain-timeout", "upload-expiry"] {
        assert!(text.contains(shown), "{shown} in:\n{text}");
    }
}

#[test]
fn help_and_version_are_printed() {
    let home = tempfile::tempdir().unwrap();
    for arguments in
        [&["--help"][..], &["--version"], &["check-config", "--help"], &["print-config", "--help"]]
    {
        let output = program(home.path()).args(arguments).output().unwrap();
        assert_ok(&output);
        assert!(!output.stdout.is_empty());
    }
    assert_eq!(program(home.path()).arg("--no-such-option").output().unwrap().status.code(), Some(2));
}

#[test]
fn a_workspace_whose_agents_can_verify_nothing_yet_is_told() {
    let text = r#"
caches:
  - name: "main"
    signing: client
    storages: [{name: "disk", type: "local", root: "storage"}]
workspaces: [{name: "fleet", cache: "main"}]
"#;
    for offline in [&["--offline"][..], &[]] {
        let (output, _home) = run(&[&["check-config"], offline].concat(), text);
        assert_ok(&output);
        let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("agents") && told.contains("cachix generate-keypair main"), "{told}");
    }
    let (output, _home) =
        run(&["check-config", "--offline"], &text.replace("signing: client", "signing: auto"));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("generate-keypair"));
}

#[test]
fn man_pages_and_completions_are_made_by_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let output = program(directory.path()).args(["man", "."]).output().unwrap();
    assert_ok(&output);
    let page = fs::read_to_string(directory.path().join("cache-server.1")).unwrap();
    assert!(page.contains("Nix binary cache") && page.contains("check\\-config"), "{page}");
    assert!(directory.path().join("cache-server-restore.1").exists());
    for shell in ["bash", "fish", "zsh"] {
        let output = program(directory.path()).args(["completions", shell]).output().unwrap();
        assert_ok(&output);
        assert!(String::from_utf8_lossy(&output.stdout).contains("check-config"), "{shell}");
    }
    let output = program(directory.path()).args(["man", "nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
}
