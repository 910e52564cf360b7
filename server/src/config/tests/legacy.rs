//! Configurations of the original system load as they are.

use std::path::Path;

use super::*;
use crate::config::{Access, KeySource, SecretSource, StorageKind, Strategy};

#[test]
fn the_readme_of_the_original_system_loads_as_it_is() {
    let config = config(include_str!("data/legacy-readme.yaml"));

    let server = &config.server;
    assert!(server.database.expose().ends_with("/home/.local/state/cache-server/node.db"));
    assert_eq!(server.hostname, "0.0.0.0");
    assert!(!server.standalone);
    assert_eq!((server.dht_port, server.dht_bootstrap_port), (4222, 4223));
    assert_eq!(server.dht_bootstrap_hosts, ["other-node"]);
    assert_eq!((server.server_port, server.deploy_port), (5001, 5002));
    let KeySource::Inline(key) = &server.key else { panic!("{:?}", server.key) };
    assert_eq!(key.expose(), "your-secret-key-here");

    let [main, first] = config.caches.as_slice() else { panic!("{:?}", config.caches) };
    assert_eq!((main.name.as_str(), main.retention, main.port), ("main", 7, Some(8081)));
    assert_eq!((first.name.as_str(), first.retention, first.port), ("first", 4, Some(8080)));
    assert_eq!(main.storage_strategy, Strategy::Split);
    assert_eq!(main.storages.iter().map(|s| s.split).collect::<Vec<_>>(), [Some(40), Some(60)]);
    let roots: Vec<_> = main.storages.iter().map(|storage| &storage.kind).collect();
    let usb = StorageKind::Local { root: "/Volumes/USB/binary-caches".into() };
    assert_eq!(roots, [&StorageKind::Local { root: server.state_dir.join("binary-caches") }, &usb]);

    let StorageKind::S3(s3) = &first.storages[1].kind else { panic!("{:?}", first.storages) };
    assert_eq!((s3.bucket.as_str(), s3.region.as_str()), ("backup", "eu-central-1"));
    assert_eq!((s3.root.as_str(), &s3.endpoint), ("binary-caches", &None));
    let secret = s3.secret_key.as_ref().map(SecretSource::resolve).unwrap().unwrap();
    assert_eq!(secret.expose(), "secret");

    assert_eq!(config.workspaces[0].cache, first.name);
    assert_eq!(config.agents[0].workspace, config.workspaces[0].name);
}

#[test]
fn a_node_of_the_original_systems_tests_loads_as_it_is() {
    let config = config(include_str!("data/legacy-node.yaml"));

    assert_eq!(config.server.database.expose(), "sqlite:///var/lib/cache-server/data/servera.db");
    assert_eq!(config.caches[0].storage_strategy, Strategy::InOrder);
    assert_eq!(
        config.caches[0].storages[0].kind,
        StorageKind::Local { root: Path::new("/var/lib/cache-server/caches").into() }
    );
    assert!(config.workspaces.is_empty() && config.agents.is_empty());
}

#[test]
fn what_the_original_system_took_undocumented_loads_too() {
    let config = config(include_str!("data/legacy-loose.yaml"));

    assert!(config.server.standalone);
    assert_eq!((config.server.dht_port, config.server.default_retention), (4222, 4));
    assert_eq!(config.server.key, KeySource::Generated);
    let [main, team, old] = config.caches.as_slice() else { panic!("{:?}", config.caches) };
    assert_eq!((main.access, team.access), (Access::Public, Access::Private));
    assert_eq!((main.retention, team.retention, old.retention), (30, 30, 4));
    assert_eq!((main.port, team.port, old.port), (Some(8080), None, None));
    assert!(team.enabled && !old.enabled);
    assert_eq!(old.storages[0].name.as_str(), "default");
}
