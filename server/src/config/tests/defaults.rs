//! What holds when the file, or the environment, does not say.

use std::path::Path;
use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::config::{
    Access, KeySource, LogFormat, PreferredCompression, SigningMode, StorageKind, StorageType, Strategy,
    builtin, find,
};

#[test]
fn a_file_that_leaves_everything_out_says_what_the_original_system_said_by_default() {
    let loaded = loaded("caches: []");

    let server = loaded.config.server;
    assert_eq!(server.hostname, "localhost");
    assert_eq!((server.server_port, server.deploy_port, server.default_port), (5000, 5001, 8080));
    assert_eq!((server.dht_port, server.standalone), (4222, false));
    assert_eq!(server.default_retention, 4);
    assert_eq!(server.default_storage, StorageType::Local);
    assert_eq!(server.default_storage_strategy, Strategy::RoundRobin);
    assert_eq!(server.key, KeySource::Generated);
    assert_eq!((server.log.filter.as_str(), server.log.format), ("info", LogFormat::Text));
    assert_eq!(server.drain_timeout, Duration::from_secs(30));
    assert_eq!(server.upload_expiry, Duration::from_secs(86_400));
    assert_eq!(server.gc_interval, Some(Duration::from_secs(12 * 60 * 60)));
    assert_eq!(server.scrub_interval, Some(Duration::from_secs(30 * 24 * 60 * 60)));
    assert_eq!(server.gc_grace, Duration::from_secs(60 * 60));
    assert_eq!(server.deploy_timeout, Duration::from_secs(2 * 60 * 60));
    assert_eq!(server.deploy_pending_timeout, Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!(server.max_connections, 4096);
    assert_eq!(server.narinfo_memory, 64 * 1024 * 1024);
    assert_eq!((server.admin_socket_mode, server.admin_socket_group), (0o660, None));
    assert_eq!(loaded.warnings[0].message, "is empty, so there is nothing to serve");
}

#[test]
fn a_cache_needs_no_more_than_a_name() {
    let config = config("caches: [{name: main}]");

    let cache = &config.caches[0];
    assert!(cache.enabled);
    assert_eq!(cache.access, Access::Public);
    assert_eq!((cache.retention, cache.port, cache.priority), (4, Some(8080), 30));
    assert_eq!(cache.compression, PreferredCompression::Zstd);
    assert_eq!(cache.signing, SigningMode::Server);
    let [storage] = cache.storages.as_slice() else { panic!("{:?}", cache.storages) };
    assert_eq!(storage.name.as_str(), "default");
    assert_eq!(storage.kind, StorageKind::Local { root: config.server.state_dir.join("storage") });
}

#[test]
fn what_server_says_holds_for_caches_that_do_not() {
    let config = config(
        "{server: {default-retention: 9, default-port: 80, default-storage-strategy: in-order, default-storage: s3},
          caches: [{name: a, storages: [{name: x, s3_bucket: b, s3_region: r}]}]}",
    );

    let cache = &config.caches[0];
    assert_eq!((cache.retention, cache.port), (9, Some(80)));
    assert_eq!(cache.storage_strategy, Strategy::InOrder);
    assert_eq!(cache.storages[0].kind.storage_type(), StorageType::S3);
}

#[rstest]
#[case::the_first_without_a_port("[{name: a, port: 1}, {name: b}, {name: c}]", [Some(1), Some(8080), None])]
#[case::never_one_that_is_taken("[{name: a}, {name: b, port: 8080}, {name: c}]", [None, Some(8080), None])]
#[case::never_a_disabled_cache("[{name: a, enabled: false}, {name: b}, {name: c}]", [None, Some(8080), None])]
fn the_default_port_goes_to(#[case] caches: &str, #[case] ports: [Option<u16>; 3]) {
    let config = config(&format!("caches: {caches}"));

    assert_eq!(config.caches.iter().map(|cache| cache.port).collect::<Vec<_>>(), ports);
}

#[test]
fn without_a_file_there_is_one_public_cache_for_this_machine_alone() {
    let scene = Scene::new();

    let config = builtin(&scene.env);

    assert_eq!(config.source, None);
    assert_eq!((config.server.hostname.as_str(), config.server.standalone), ("127.0.0.1", true));
    assert_eq!(config.server.state_dir, scene.path("home/.local/state/cache-server"));
    assert_eq!(config.server.key, KeySource::Generated);
    let [cache] = config.caches.as_slice() else { panic!("{:?}", config.caches) };
    assert_eq!((cache.name.as_str(), cache.access, cache.port), ("main", Access::Public, Some(8080)));
}

#[test]
fn without_any_environment_there_still_is_a_configuration() {
    let config = builtin(&Environment::default());

    assert_eq!(config.server.state_dir, Path::new("/var/lib/cache-server"));
}

fn environment() -> Environment {
    Environment { home: Some("/home/eve".into()), ..Environment::default() }
}

#[rstest]
#[case::below_home(environment(), "/home/eve/c.yaml", "/home/eve/.local/state/cache-server")]
#[case::in_the_state_home(
    Environment { state_home: Some("/s".into()), ..environment() }, "/c.yaml", "/s/cache-server"
)]
#[case::where_systemd_says(
    Environment { state_directory: Some("/var/lib/x".into()), is_root: true, ..environment() },
    "/etc/c.yaml",
    "/var/lib/x"
)]
#[case::system_wide_for_root_and_etc(
    Environment { is_root: true, ..environment() }, "/etc/cache-server/c.yaml", "/var/lib/cache-server"
)]
#[case::below_roots_home_for_roots_own_file(
    Environment { is_root: true, home: Some("/root".into()), ..environment() },
    "/root/c.yaml",
    "/root/.local/state/cache-server"
)]
fn state_is_kept(#[case] env: Environment, #[case] source: &str, #[case] expected: &str) {
    assert_eq!(env.default_state_dir(Some(Path::new(source))), Path::new(expected));
}

#[test]
fn the_admin_socket_is_in_the_runtime_directory_where_there_is_one() {
    let mut scene = Scene::new();
    let state_dir = scene.path("home/.local/state/cache-server");
    let socket = |scene: &Scene, yaml| scene.load(yaml).unwrap().config.server.admin_socket;

    assert_eq!(socket(&scene, "caches: []"), state_dir.join("admin.sock"));
    assert_eq!(socket(&scene, "{server: {admin-socket: x/ctl}, caches: []}"), state_dir.join("x/ctl"));
    scene.env.runtime_directory = Some("/run/cs".into());
    assert_eq!(socket(&scene, "caches: []"), Path::new("/run/cs/admin.sock"));
}

#[test]
fn relative_paths_begin_in_the_state_directory_and_that_beside_the_file() {
    let scene = Scene::new();
    let yaml = "{server: {state-dir: state/./x/.., database: sqlite://a?.db}, \
                 caches: [{name: a, storages: [{name: s, root: ../data}]}]}";

    // A question mark would begin the options of a URL.
    assert!(scene.load(yaml).is_err());
    let config = scene.load(&yaml.replace("sqlite://a?", "a?")).unwrap().config;

    assert_eq!(config.server.state_dir, scene.path("state"));
    assert_eq!(
        config.server.database.expose(),
        format!("sqlite://{}/a%3F.db", scene.path("state").display())
    );
    assert_eq!(config.caches[0].storages[0].kind, StorageKind::Local { root: scene.path("data") });
}

#[test]
fn the_file_is_searched_where_the_manual_says() {
    let mut scene = Scene::new();
    let in_home = scene.path("home/.config/cache-server");
    let in_xdg = scene.path("xdg/cache-server");
    fs::create_dir_all(&in_home).unwrap();
    fs::create_dir_all(&in_xdg).unwrap();
    let system_wide = Path::new("/etc/cache-server/config.yaml");
    let fallback = system_wide.exists().then(|| system_wide.to_owned());

    assert_eq!(find(None, &scene.env), fallback);
    fs::write(in_home.join("config.yml"), "").unwrap();
    assert_eq!(find(None, &scene.env), Some(in_home.join("config.yml")));
    fs::write(in_home.join("config.yaml"), "").unwrap();
    assert_eq!(find(None, &scene.env), Some(in_home.join("config.yaml")));
    scene.env.config_home = Some(scene.path("xdg"));
    assert_eq!(find(None, &scene.env), fallback);
    fs::write(in_xdg.join("config.yaml"), "").unwrap();
    assert_eq!(find(None, &scene.env), Some(in_xdg.join("config.yaml")));
    // Who names a file gets that one, or to know that it is missing.
    assert_eq!(find(Some(Path::new("nowhere")), &scene.env), Some("nowhere".into()));
}
