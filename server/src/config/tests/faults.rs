//! Everything that can be wrong with a file, and how a person gets to know.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::config::decode::decode;
use crate::config::fault::Report;
use crate::config::{Severity, yaml};

/// The start of a file with one cache, for faults further down.
const CACHE: &str = "caches:\n  - name: main\n";

#[test]
fn a_fault_names_file_line_key_and_remedy() {
    let scene = Scene::new();
    let faults = scene.load("caches:\n  - name: main\n    acess: private\n").unwrap_err();

    let file = scene.path("config.yaml");
    assert_eq!(
        faults.to_string(),
        format!("{}:3: caches[0].acess: unknown key; did you mean `access`?", file.display())
    );
    let [fault] = faults.0.as_slice() else { panic!("{faults}") };
    assert_eq!(fault.severity, Severity::Error);
    assert_eq!((fault.path.as_str(), fault.line), ("caches[0].acess", Some(3)));
    assert_eq!(fault.suggestion.as_deref(), Some("did you mean `access`?"));
}

#[rstest]
// Keys.
#[case("severs: {}", "1: severs: unknown key; did you mean `server`?")]
#[case("server:\n  server_port: 1", "2: server.server_port: unknown key; did you mean `server-port`?")]
#[case("port: 1", "1: port: unknown key; it belongs in an entry of `caches`")]
#[case("server:\n  split: 1", "2: server.split: unknown key; it belongs in an entry of `storages`")]
#[case(
    "agents: [{what: 1, name: a, workspace: b}]\nworkspaces: [{name: b, cache: main}]",
    "1: agents[0].what: unknown key; expected one of `name` or `workspace`"
)]
#[case(
    "server:\n  key-file: a\n  hostname: b\n  key-file: c",
    "4: server.key-file: is given twice, first in line 2"
)]
// Kinds of nodes.
#[case("server: [1]", "1: server: is a list; expected a mapping of keys such as `hostname`")]
#[case(
    "server: {log: debug}",
    "1: server.log: is a single value; expected a mapping of keys such as `filter`"
)]
#[case("server:\n  hostname:\n    - a", "2: server.hostname: is a list; expected a single value")]
#[case("workspaces: 5", "1: workspaces: is a single value; expected a list; each entry begins with `- `")]
#[case(
    "workspaces:\n  - name: a\n    cache: main\n  -",
    "4: workspaces[1]: is empty; expected a mapping of keys such as `name`"
)]
// Values of `server`.
#[case(
    "server: {server-port: http}",
    "1: server.server-port: `http` is not a whole number; expected a port from 1 to 65535"
)]
#[case(
    "server: {deploy-port: 0}",
    "1: server.deploy-port: `0` is out of range; expected a port from 1 to 65535"
)]
#[case(
    "server: {dht-port: 65536}",
    "1: server.dht-port: `65536` is out of range; expected a port from 1 to 65535"
)]
#[case(
    "server: {default-retention: 7 days}",
    "1: server.default-retention: `7 days` is not a whole number; expected a number of days, at least 1"
)]
#[case(
    "server: {standalone: maybe}",
    "1: server.standalone: `maybe` is not valid; expected `true` or `false`"
)]
#[case(
    "server: {drain-timeout: 30}",
    "1: server.drain-timeout: `30` is not valid; expected a time such as `30s`, `90min` or `2h`"
)]
#[case(
    "server: {upload-expiry: 0s}",
    "1: server.upload-expiry: `0s` is not valid; expected a time longer than zero, such as `24h`"
)]
#[case(
    "server: {gc-interval: daily}",
    "1: server.gc-interval: `daily` is not valid; expected a time such as `12h`, or `off`"
)]
#[case(
    "server: {deploy-timeout: 0s}",
    "1: server.deploy-timeout: `0s` is not valid; expected a time longer than zero, such as `24h`"
)]
#[case(
    "server: {deploy-pending-timeout: never}",
    "1: server.deploy-pending-timeout: `never` is not valid; expected a time such as `30s`, `90min` or `2h`"
)]
#[case(
    "server: {narinfo-memory: lots}",
    "1: server.narinfo-memory: `lots` is not valid; expected a size such as `500M`, `10 GiB` or a number of bytes"
)]
#[case(
    "server: {log: {format: jsno}}",
    "1: server.log.format: `jsno` is not valid; expected `text` or `json`; did you mean `json`?"
)]
#[case(
    "server: {hostname: '0.0.0.0:5000'}",
    "1: server.hostname: `0.0.0.0:5000` is not valid; expected an IP address or a host name; the port has its own key"
)]
#[case(
    "server: {public-url: 'https://x.org/cache'}",
    "1: server.public-url: has the path `/cache`; expected only a scheme and a host, because clients reach caches as `NAME.HOST`"
)]
#[case(
    "server: {state-dir: ~/x}",
    "1: server.state-dir: `~/x` is not valid; expected a path; `~` is not expanded, write the home directory out"
)]
#[case(
    "server: {database: 'mysql://u:hunter2@h/d'}",
    "1: server.database: `mysql` is not a supported database; expected the name of a SQLite file, `sqlite://FILE` or \
     `postgres://USER@HOST/DATABASE`"
)]
#[case(
    "server: {database: 'postgres://u@h/d?sslmode=require&sslpassword=hunter2'}",
    "1: server.database: has the unknown parameter `sslpassword`; expected the name of a SQLite file, `sqlite://FILE` or \
     `postgres://USER@HOST/DATABASE`"
)]
#[case(
    "server: {database-password-file: p}",
    "1: server.database-password-file: is given, but `database` is a file, which has no password"
)]
#[case(
    "server: {database: 'postgres://u:hunter2@h/d', database-password-file: p}",
    "1: server.database-password-file: is given, but the URL in `database` already has a password"
)]
#[case(
    "server:\n  key: 01234567890123456789012345678901\n  key-file: k",
    "3: server.key-file: is given together with `key`; give only one of them"
)]
#[case("server:\n  deploy-port: 5000", "2: server.deploy-port: 5000 is taken by `server.server-port`")]
fn what_is_wrong_is_said(#[case] yaml: &str, #[case] expected: &str) {
    // Behind what is tested, so that its lines stay.
    assert_eq!(lines(&format!("{yaml}\n{CACHE}")), [expected]);
}

#[rstest]
#[case(
    "access: pubic",
    "3: caches[0].access: `pubic` is not valid; expected `public` or `private`; did you mean `public`?"
)]
#[case("retention: 0", "3: caches[0].retention: `0` is out of range; expected a number of days, at least 1")]
#[case("port: 5001", "3: caches[0].port: 5001 is taken by `server.deploy-port`")]
#[case(
    "priority: -1",
    "3: caches[0].priority: `-1` is out of range; expected a number; Nix asks lower ones first"
)]
#[case(
    "upstreams:\n      - https://a.org\n      - ftp://b.org",
    "5: caches[0].upstreams[1]: `ftp://b.org` is not valid; expected a URL such as `https://cache.example.org`"
)]
#[case(
    "upstreams: 'https://u:hunter2@a.org'",
    "3: caches[0].upstreams: contains a user name or password, which do not belong in a URL; expected a URL such as \
     `https://cache.example.org`"
)]
#[case(
    "upstreams: [{url: 's3://nars?regoin=x'}]",
    "3: caches[0].upstreams[0].url: has the unknown parameter `regoin`; expected a URL such as \
     `s3://bucket?region=eu-west-1&endpoint=s3.example.org`; did you mean `region`?"
)]
#[case(
    "upstreams: [{url: 'https://a.org', tokenfile: t}]",
    "3: caches[0].upstreams[0].tokenfile: unknown key; did you mean `token-file`?"
)]
#[case("upstreams: [{token-file: t}]", "3: caches[0].upstreams[0].url: missing")]
#[case(
    "upstreams: [{url: 'https://a.org', token-file: t, password-file: p}]",
    "3: caches[0].upstreams[0].token-file: is given together with `password-file`; give only one of them"
)]
#[case(
    "upstreams: [{url: 'https://a.org', user: u}]",
    "3: caches[0].upstreams[0].user: is given without `password-file`"
)]
#[case(
    "upstreams: [{url: 's3://nars', token-file: t}]",
    "3: caches[0].upstreams[0].token-file: is given, but the upstream is a bucket"
)]
#[case(
    "upstreams: [{url: 'https://a.org', s3-access-key-file: t}]",
    "3: caches[0].upstreams[0].s3-access-key-file: is given, but the upstream is a web server"
)]
#[case(
    "upstreams: [{url: 'http://a.org', client-certificate-file: t}]",
    "3: caches[0].upstreams[0].client-certificate-file: is given, but the URL is not `https://`"
)]
#[case(
    "upstreams: [{url: 's3://nars', s3-access-key-file: t}]",
    "3: caches[0].upstreams[0].s3-access-key-file: is given without `s3-secret-key-file`"
)]
#[case(
    "trusted-public-keys: 'a:hunter2'",
    "3: caches[0].trusted-public-keys: not padded base 64; expected a public key such as \
     `cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=`"
)]
#[case(
    "signing: client\n    signing-key-file: k",
    "4: caches[0].signing-key-file: is given, but with `signing: client` the server signs nothing"
)]
#[case("storages: [{root: x}]", "3: caches[0].storages[0].name: missing")]
#[case("storages: [{name: a, type: local}]", "3: caches[0].storages[0].root: missing")]
#[case(
    "storages: [{name: a, type: s4, root: x}]",
    "3: caches[0].storages[0].type: `s4` is not valid; expected `local` or `s3`; did you mean `s3`?"
)]
#[case(
    "storages: [{name: a, type: s3, s3_endpoint: 'http://x'}]",
    "3: caches[0].storages[0].s3_bucket: missing"
)]
#[case("storages: [{name: a, type: s3, s3_bucket: x}]", "3: caches[0].storages[0].s3_region: missing")]
#[case(
    "storages: [{name: a, type: s3, s3_bucket: x, s3_region: y, s3_access_key: a, s3_secret_key: ''}]",
    "3: caches[0].storages[0].s3_secret_key: is empty; expected a secret"
)]
#[case(
    "storages: [{name: a, type: s3, s3_bucket: x, s3_region: y, s3_secret_key: hunter2}]",
    "3: caches[0].storages[0].s3_access_key: missing; access key and secret key belong together"
)]
#[case(
    "storages:\n      - {name: a, root: x}\n      - {name: a, root: y}",
    "5: caches[0].storages[1].name: `a` is taken by `caches[0].storages[0].name` in line 4"
)]
#[case(
    "storages:\n      - {name: a, root: x}\n      - {name: b, root: ./y/../x/}",
    "5: caches[0].storages[1].root: is the same place as `caches[0].storages[0].root` in line 4"
)]
#[case(
    "storages:\n      - {name: a, root: /x}\n      - {name: b, root: /x/y}",
    "5: caches[0].storages[1].root: is inside `caches[0].storages[0].root` in line 4"
)]
#[case(
    "storages:\n      - {name: a, root: /x/y}\n      - {name: b, root: /x}",
    "5: caches[0].storages[1].root: contains `caches[0].storages[0].root` in line 4"
)]
#[case(
    "storages:\n      - {name: a, type: s3, s3_bucket: x, s3_region: r}\n      - {name: b, type: s3, s3_bucket: x, s3_region: r}",
    "5: caches[0].storages[1].root: is the same place as `caches[0].storages[0].root` in line 4"
)]
#[case(
    "storage-strategy: split\n    storages:\n      - {name: a, root: x, split: 40}\n      - {name: b, root: y, split: 50}",
    "4: caches[0].storages: the `split` values of the storages sum to 90; expected 100"
)]
#[case(
    "storage-strategy: split\n    storages:\n      - {name: a, root: x, split: 100}\n      - {name: b, root: y}",
    "6: caches[0].storages[1].split: missing; `storage-strategy: split` needs it; expected a percentage from 1 to 100"
)]
#[case(
    "storage-strategy: split\n    storages:\n      - {name: a, root: x, split: 100}\n      - {name: b, root: y, split: 50, tier: 1}",
    "4: caches[0].storages: the `split` values of the storages of tier 1 sum to 50; expected 100"
)]
#[case(
    "storages: [{name: a, root: x, tier: fast}]",
    "3: caches[0].storages[0].tier: `fast` is not a whole number; expected a number from 0 for the fastest storages to 9"
)]
fn what_is_wrong_with_a_cache_is_said(#[case] yaml: &str, #[case] expected: &str) {
    assert_eq!(lines(&format!("{CACHE}    {yaml}\n")), [expected]);
}

#[rstest]
#[case("caches: [{}]", &["1: caches[0].name: missing"])]
#[case(
    "caches:\n  - name: My_Cache",
    &["2: caches[0].name: `My_Cache` has characters other than a-z, 0-9 and `-`; expected 1 to 63 characters of `a-z`, `0-9` and \
       `-`, as in a host name, because clients reach the cache as `NAME.HOST`; call it `my-cache`"]
)]
#[case(
    "caches:\n  - name: a\n  - name: a",
    &["3: caches[1].name: `a` is taken by `caches[0].name` in line 2"]
)]
#[case(
    "caches:\n  - {name: a, port: 81}\n  - {name: b, port: 81}",
    &["3: caches[1].port: 81 is taken by `caches[0].port` in line 2"]
)]
#[case(
    "caches:\n  - name: a\n    storages: [{name: s, root: /x}]\n  - name: b\n    storages: [{name: s, root: /x/a}]",
    &["5: caches[1].storages[0].root: is inside `caches[0].storages[0].root` in line 3"]
)]
#[case(
    "server: {default-storage: s3}\ncaches:\n  - name: a",
    &["3: caches[0].storages: missing; only with `server.default-storage: local` may a cache have none"]
)]
#[case(
    "caches:\n  - name: main\nworkspaces:\n  - name: w\n    cache: mian",
    &["5: workspaces[0].cache: there is no cache `mian`; did you mean `main`?"]
)]
#[case(
    "caches: [{name: main}]\nworkspaces: [{name: w, cache: main}, {name: w, cache: main}]",
    &["2: workspaces[1].name: `w` is taken by `workspaces[0].name` in line 2"]
)]
#[case(
    "caches: [{name: main}]\nworkspaces: [{name: w, cache: main}]\nagents:\n  - name: a\n    workspace: v\n  - name: a\n",
    &[
        "5: agents[0].workspace: there is no workspace `v`",
        "6: agents[1].name: `a` is taken by `agents[0].name` in line 4",
        "6: agents[1].workspace: missing",
    ]
)]
fn entries_have_to_agree_with_each_other(#[case] yaml: &str, #[case] expected: &[&str]) {
    assert_eq!(lines(yaml), expected);
}

#[rstest]
#[case("[", "not YAML")]
#[case("a: 1\nb: [1, 2\nc: 3", "not YAML")]
#[case("server:\n\thostname: a", "not YAML")]
#[case("caches: []\n---\ncaches: []", "a second YAML document; the file may have only one")]
#[case("server: {key: !vault abc}", "the tag `!vault` is not supported")]
#[case("server: {? [a] : b}", "a key that is a list; keys are single words")]
#[case("a: &a [*a]", "an alias inside the node that it refers to")]
#[case("server: {<<: 5}", "`<<` takes a mapping, not a single value")]
fn what_is_no_yaml_is_one_fault_with_its_line(#[case] yaml: &str, #[case] message: &str) {
    let faults = faults(yaml);
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert!(fault.message.starts_with(message), "{fault}");
    assert!(fault.line.is_some(), "{fault}");
}

#[rstest]
#[case("", 1, "has no content")]
#[case("\n\n# server:\n#   hostname: a\n", 1, "has no content")]
#[case("---\n...\n", 2, "has no content")]
#[case("\u{feff}", 1, "has no content")]
#[case("\n~\n", 2, "has no content")]
#[case("null", 1, "has no content")]
#[case("''", 1, "is a single value")]
#[case("# caches\n\ncaches", 3, "is a single value")]
#[case("[]", 1, "is a list")]
#[case("- name: main\n", 1, "is a list")]
fn a_file_that_is_no_mapping_is_one_fault_with_its_line(
    #[case] yaml: &str,
    #[case] line: usize,
    #[case] message: &str,
) {
    assert_eq!(
        lines(yaml),
        [format!("{line}: the file {message}; expected a mapping of keys such as `server`")]
    );
}

#[rstest]
#[case("{}", 1)]
#[case("# nothing else\nserver:\n  hostname: 127.0.0.1\n", 2)]
#[case("server: {}\ncaches:", 2)]
#[case("server: {}\ncaches: null", 2)]
fn having_no_cache_takes_a_line_that_says_so(#[case] yaml: &str, #[case] line: usize) {
    let faults = faults(yaml);
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!((fault.severity, fault.path.as_str(), fault.line), (Severity::Error, "caches", Some(line)));
    assert!(fault.to_string().contains("write `caches: []`"), "{fault}");

    assert_eq!(loaded("caches: []").config.caches, []);
    // What is there but wrong is not missing.
    assert_eq!(
        lines("caches: 5"),
        ["1: caches: is a single value; expected a list; each entry begins with `- `"]
    );
    assert_eq!(lines("cahces: [{name: a}]"), ["1: cahces: unknown key; did you mean `caches`?"]);
}

#[test]
fn what_is_stated_is_told_from_what_is_left_out() {
    let states_no_key =
        |yaml: &str| loaded(&format!("{{server: {{{yaml}}}, caches: []}}")).stated.no_server_key;
    assert!(["key: null", "key: ~", "key: ''", "key-file: null"].into_iter().all(states_no_key));
    assert!(!["", "hostname: a", "key:", "key-file: x", "key: x"].into_iter().any(states_no_key));

    let yaml =
        "caches:\n- &p {name: a, access: public}\n- {name: b, access: }\n- {name: c}\n- {<<: *p, name: d}";
    let stated = loaded(yaml).stated;
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(|name| stated.access_of(name)),
        [true, false, false, true, false]
    );
}

#[test]
fn nesting_without_end_is_refused() {
    assert_eq!(faults(&"[".repeat(100))[0].message, "nested too deeply");
    assert_eq!(faults(&"[".repeat(100_000)).len(), 1);
}

proptest! {
    #[test]
    fn no_text_is_too_strange_to_be_judged(
        start in prop::sample::select(&["", "server:\n", "server:\n  key", CACHE, "caches:\n- storages:\n  - "]),
        rest in "(name|type|root|split|log|key|<<|[-:{}\\[\\]&*!|>'\"# \n\t0-9~,é]){0,60}",
    ) {
        if let Ok(root) = yaml::parse(&format!("{start}{rest}")) {
            decode(root, None, &Environment::default(), &Report::default());
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let scene = Scene::new();
    let path = scene.path("missing.yaml");

    let message = load(&path, &scene.env).unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: cannot be read: ", path.display())), "{message}");

    let path = scene.path("binary.yaml");
    fs::write(&path, b"server: \xff").unwrap();
    assert!(load(&path, &scene.env).is_err());
}

#[test]
fn all_faults_are_found_at_once_and_in_order() {
    let yaml = "
server:
  hostnam: 0.0.0.0
  server-port: http
  drain-timeout: soon
  key: short
  log: {filter: loud=very}
name: main
caches:
  - name: Main
    acess: private
    retention: never
    storages:
      - {name: a, type: locl, split: 101}
      - {name: a, root: x, max-sise: 1G}
  - port: 5001
workspaces:
  - {name: w, cache: mian}
agents: {}
";
    let paths: Vec<_> = faults(yaml).into_iter().map(|fault| (fault.line.unwrap(), fault.path)).collect();
    let expected = [
        (3, "server.hostnam"),
        (4, "server.server-port"),
        (5, "server.drain-timeout"),
        (6, "server.key"),
        (7, "server.log.filter"),
        (8, "name"),
        (10, "caches[0].name"),
        (11, "caches[0].acess"),
        (12, "caches[0].retention"),
        (14, "caches[0].storages[0].split"),
        (14, "caches[0].storages[0].type"),
        (15, "caches[0].storages[1].max-sise"),
        (15, "caches[0].storages[1].name"),
        (16, "caches[1].name"),
        (16, "caches[1].port"),
        (18, "workspaces[0].cache"),
        (19, "agents"),
    ];
    assert_eq!(paths, expected.map(|(line, path)| (line, path.to_owned())));
}

#[rstest]
#[case(
    "server: {key: short}",
    "1: warning: server.key: is short enough to guess, so it signs no tokens: the daemon makes a key for them and keeps it in the state directory; expected at least 32 characters; make one with `openssl rand -hex 32`"
)]
#[case(
    "server: {key: ''}",
    "1: warning: server.key: is empty, so the daemon makes a key and keeps it in the state directory"
)]
#[case(
    "server: {public-url: 'http://10.0.0.1'}",
    "1: warning: server.public-url: is an address, so clients cannot reach caches as `NAME.HOST`; use a host name, or leave `public-url` out"
)]
#[case(
    "{server: {public-url: 'http://x.org:5000'}, caches: [{name: a}], workspaces: [{name: w, cache: a}], agents: [{name: m, workspace: w}]}",
    "1: warning: server.public-url: deploy agents cannot reach port 5000; they always use port 80 (http) or 443 (https) of the host; let a reverse proxy listen on port 80 or 443, and leave the port out"
)]
#[case(
    "{server: {public-url: 'https://x.org:80'}, caches: [{name: a}], workspaces: [{name: w, cache: a}], agents: [{name: m, workspace: w}]}",
    "1: warning: server.public-url: deploy agents cannot reach port 80; they always use port 80 (http) or 443 (https) of the host; let a reverse proxy listen on port 80 or 443, and leave the port out"
)]
#[case(
    "server: {dht-bootstrap-host: other}",
    "1: warning: server.dht-bootstrap-host: a node with a generated key cannot join the network of other nodes; give all nodes the same `dht-network-key-file` or `key`"
)]
#[case(
    "server: {default-port: 5000}",
    "1: warning: server.default-port: 5000 is taken by `server.server-port`, so the cache `main` has no port"
)]
#[case(
    "caches: [{name: a, storages: [{name: s, root: x, split: 5}]}]",
    "1: warning: caches[0].storages[0].split: has no effect without `storage-strategy: split`"
)]
#[case(
    "caches: [{name: a, storages: [{name: s, root: x, s3_region: r}]}]",
    "1: warning: caches[0].storages[0].s3_region: has no effect without `type: s3`"
)]
#[case(
    "caches: [{name: a, storages: [{name: s, root: x, draining: true}]}]",
    "1: warning: caches[0].storages: every storage is draining, so nothing can be pushed"
)]
#[case(
    "caches: []",
    "1: warning: caches: is empty, so there is nothing to serve; give at least a name: `caches: [{name: main}]`"
)]
#[case(
    "caches: [{name: a, storages: [{name: s, root: x, durable: true}, {name: t, root: y, tier: 1}]}]",
    "1: warning: caches[0].storages[0].durable: has no effect on tier 0, as tier 1 is slower; give it to storages of the slowest tier"
)]
#[case(
    "caches: [{name: a, storages: [{name: s, root: x, durable: true}]}]",
    "1: warning: caches[0].storages[0].durable: has no effect, as the cache has no other storage"
)]
#[case(
    "caches: [{name: a, storages: [{name: s, root: x, promote: true}]}]",
    "1: warning: caches[0].storages[0].promote: has no effect, as no storage has a slower tier than 0; give the slower storages a higher `tier`"
)]
#[case(
    "caches: [{name: a, copies: 2, storages: [{name: s, root: x, demote-after: 1h}, {name: t, root: y, tier: 1}]}]",
    "1: warning: caches[0].storages[0].demote-after: has no effect: 2 copies of what leaves this storage need 2 slower storages that are not draining, and there are 1"
)]
fn what_is_likely_not_meant_is_a_warning(#[case] yaml: &str, #[case] expected: &str) {
    let yaml = if yaml.starts_with("server") { format!("{yaml}\n{CACHE}") } else { yaml.to_owned() };

    let scene = Scene::new();
    let loaded = scene.load(&yaml).unwrap();
    // That the file of this test can be read by everybody is another matter.
    let warnings = loaded.warnings.iter().filter(|fault| fault.line.is_some());
    let line =
        |fault: &Fault| fault.to_string().replace(&format!("{}:", scene.path("config.yaml").display()), "");
    assert_eq!(warnings.map(line).collect::<Vec<_>>(), [expected]);
}
