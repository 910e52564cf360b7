//! The configuration as it is printed.

use super::*;
use crate::config::{builtin, keys, print_config};

const FULL: &str = "
server:
  public-url: https://cache.example.org
  node-url: http://node-1:5000
  admin-socket-mode: 0600
  admin-socket-group: wheel
  database: postgres://user:hunter2@db/cache
  key: hunter2hunter2hunter2hunter2hunter2
  log: {filter: 'debug,hyper=info', format: json}
  drain-timeout: 90s
  narinfo-memory: 1000000
  standalone: true
  dht-bootstrap-host: [a.example, '::1']
  dht-network-key-file: /run/network
caches:
  - name: main
    signing-key-file: [/run/a, b]
    trusted-public-keys: 'cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='
    upstreams: [https://cache.nixos.org/sub, {url: 's3://nars?region=r', s3-access-key-file: /run/a, s3-secret-key-file: s}]
    federation: {keep: true, keep-max-size: 20 GiB}
    storage-strategy: split
    storages:
      - {name: a, type: local, root: data, split: 30, max-size: 10 GiB}
      - {name: b, type: s3, s3_bucket: x, s3_region: y, s3_access_key: hunter2, s3_secret_key: hunter2, split: 70}
      - {name: c, type: s3, root: /c/, s3_bucket: x, s3_endpoint: 'http://[::1]:9000', s3_force_path_style: true,
         s3_access_key_file: /run/ak, s3_secret_key_file: sk, draining: true}
  - {name: other, access: private, enabled: false}
workspaces: [{name: w, cache: other}]
agents: [{name: 'no: yes', workspace: w}]
oidc:
  - name: ci
    issuer: https://ci.example.org
    audience: cache
    rules: [{claims: {repository: [acme/*, other/web], ref: refs/heads/main}, caches: main}]
client-certificates: [{claims: {cn: builder}, caches: [main], permission: read}]
";

#[test]
fn what_is_printed_loads_as_the_same_configuration() {
    let scene = Scene::new();
    // Masked, so different after a round.
    let full = FULL.lines().filter(|line| !line.contains("hunter2")).collect::<Vec<_>>().join("\n");
    let full = full.replace("split: 30", "split: 100");

    for yaml in [
        full.as_str(),
        "caches: []",
        "caches: [{name: a}, {name: b}]",
        include_str!("data/legacy-loose.yaml"),
    ] {
        let first = scene.load(yaml).unwrap().config;
        let printed = print_config(&first);
        let second = scene.load(&printed).unwrap_or_else(|faults| panic!("{faults}\n{printed}")).config;
        assert_eq!(first, second, "{printed}");
    }
}

#[test]
fn the_builtin_configuration_is_printed_so_that_it_loads() {
    let scene = Scene::new();

    let builtin = builtin(&scene.env);
    let mut loaded = scene.load(&print_config(&builtin)).unwrap().config;

    loaded.source = None;
    assert_eq!(loaded, builtin);
}

#[test]
fn no_secret_is_printed_or_shown() {
    let config = config(FULL);

    let printed = print_config(&config);
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("database: postgres://user:***@db/cache\n"), "{printed}");
    assert!(printed.contains("key: '***'\n"), "{printed}");
    assert!(printed.contains("s3_secret_key_file: /run/sk\n") || printed.contains("/sk\n"), "{printed}");
    let shown = format!("{config:?} {}", config.server.database);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(config.server.database.expose(), "postgres://user:hunter2@db/cache");
}

#[test]
fn a_password_is_masked_wherever_it_stands_in_the_url_of_a_database() {
    for (url, shown) in [
        (
            "postgres://u@h/d?password=hunter2&sslmode=require",
            "postgres://u@h/d?password=***&sslmode=require",
        ),
        ("postgres://u:hunter2@h/d?passw%6Frd=hunter2", "postgres://u:***@h/d?passw%6Frd=***"),
    ] {
        let config = config(&format!("{{server: {{database: '{url}'}}, caches: []}}"));
        assert_eq!(config.server.database.to_string(), shown);
        assert!(!format!("{config:?} {}", print_config(&config)).contains("hunter2"));
        assert_eq!(config.server.database.expose(), url);
    }
}

#[test]
fn the_password_of_a_database_may_come_from_a_file() {
    let scene = Scene::new();
    scene.write("password", "p@ss/word\n");
    let yaml =
        "{server: {database: 'postgres://user@db/cache', database-password-file: password}, caches: []}";
    let config = scene.load(yaml).unwrap().config;
    assert_eq!(config.server.open_database().unwrap().expose(), "postgres://user:p%40ss%2Fword@db/cache");
    let printed = print_config(&config);
    assert!(printed.contains("database: postgres://user@db/cache\n"), "{printed}");
    assert!(printed.contains("/password\n"), "{printed}");
    std::fs::remove_file(scene.path("password")).unwrap();
    assert!(config.server.open_database().unwrap_err().to_string().contains("/password"));
}

#[test]
fn every_key_is_printed() {
    let printed = print_config(&config(FULL));

    for table in keys::ALL {
        for key in table.names() {
            let shown = printed
                .lines()
                .any(|line| line.trim_start_matches([' ', '-']).starts_with(&format!("{key}:")));
            assert!(shown, "{key} of {} is missing in\n{printed}", table.title());
        }
    }
}
