//! What daemons hear of each other.

use std::time::Duration;

use futures_util::StreamExt;
use uuid::Uuid;

use super::rivals::listening;
use super::support::{Backend, Fixture, new_nar, path_hash};
use crate::{
    CatalogChange, DeploymentStatus, NewNar, PathChange, PathCommit, TokenCaches, TokenPermission,
    TokenRecord, TokenScope, UnixTime,
};

fn change(fixture: &Fixture, path: u32, change: PathChange) -> CatalogChange {
    CatalogChange::Path { cache: fixture.cache, path: path_hash(path), change }
}

pub(super) async fn every_kind_of_change_is_heard_in_order_within_a_second(backend: Backend) {
    let fixture = backend.fixture().await;
    let mut changes = Box::pin(listening(&backend.open().await).await);
    let mut expect = async |expected: &[CatalogChange]| {
        for expected in expected {
            let heard = tokio::time::timeout(Duration::from_secs(1), changes.next()).await;
            assert_eq!(heard.unwrap().as_ref(), Some(expected));
        }
    };
    let catalog = &fixture.catalog;

    fixture.create(1, 1).await;
    expect(&[change(&fixture, 1, PathChange::Inserted)]).await;
    fixture.create(2, 1).await;
    expect(&[change(&fixture, 2, PathChange::Inserted)]).await;
    fixture.damage(1).await;
    expect(&[change(&fixture, 1, PathChange::Hidden), change(&fixture, 2, PathChange::Hidden)]).await;
    catalog.commit_path(fixture.commit(2, 1)).await.unwrap();
    expect(&[change(&fixture, 2, PathChange::Inserted), change(&fixture, 1, PathChange::Inserted)]).await;
    catalog.add_signatures(fixture.cache, path_hash(1), vec!["other:1".to_owned()]).await.unwrap();
    expect(&[change(&fixture, 1, PathChange::Updated)]).await;

    let nar = fixture.nar(1).await.id;
    catalog.move_nar(nar, fixture.first, fixture.second).await.unwrap();
    expect(&[change(&fixture, 1, PathChange::Updated), change(&fixture, 2, PathChange::Updated)]).await;

    for names in [&["first"][..], &["first", "second"]] {
        fixture.declare(names).await;
        expect(&[CatalogChange::Resync]).await;
    }
    fixture.declare(&["first"]).await;
    let nar = fixture.nar(1).await.id;
    catalog.move_nar(nar, fixture.second, fixture.first).await.unwrap();
    let back = PathChange::Inserted;
    expect(&[CatalogChange::Resync, change(&fixture, 1, back), change(&fixture, 2, back)]).await;

    let keys = CatalogChange::SigningKeys { cache: fixture.cache };
    catalog.add_server_key(fixture.cache, "main-1", [7; 32]).await.unwrap();
    expect(&[keys]).await;
    catalog.share_server_key(fixture.cache, "main-2", [8; 32], vec![1]).await.unwrap();
    expect(&[keys]).await;
    let other = Fixture::new(catalog.clone(), "other").await;
    catalog.register_client_key(other.cache, "other-1", [8; 32]).await.unwrap();
    expect(&[CatalogChange::SigningKeys { cache: other.cache }]).await;

    let token = TokenRecord {
        id: Uuid::from_u128(2),
        subject: "ci".to_owned(),
        scope: TokenScope::Caches { caches: TokenCaches::All, permission: TokenPermission::Admin },
        created_at: UnixTime(1),
        expires_at: None,
        revoked_at: None,
        daily_limit: None,
    };
    catalog.insert_token(token.clone()).await.unwrap();
    expect(&[CatalogChange::Tokens]).await;
    catalog.revoke_token(token.id).await.unwrap();
    expect(&[CatalogChange::Tokens]).await;

    let agent = super::deploy::declare(catalog, fixture.cache, &["web"]).await[0].id;
    let deployments = CatalogChange::Deployments { agent };
    let added = catalog.add_deployments(vec![super::deploy::new(1, agent)]).await.unwrap().added;
    expect(&[deployments]).await;
    catalog.change_deployment(added[0].id, super::deploy::becoming(DeploymentStatus::Failed)).await.unwrap();
    expect(&[deployments]).await;
}

pub(super) async fn what_changes_nothing_is_not_heard(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    fixture.create(1, 1).await;
    catalog.add_server_key(fixture.cache, "main-1", [7; 32]).await.unwrap();
    let mut changes = Box::pin(listening(catalog).await);

    catalog.commit_path(fixture.commit(1, 1)).await.unwrap();
    let contradicting = NewNar { nar_size: 1, ..new_nar(fixture.first, 1) };
    catalog.commit_path(PathCommit { nar: contradicting, ..fixture.commit(2, 1) }).await.unwrap_err();
    catalog.add_signatures(fixture.cache, path_hash(1), vec!["main-1:1".to_owned()]).await.unwrap();
    catalog.add_server_key(fixture.cache, "main-1", [7; 32]).await.unwrap();
    catalog.share_server_key(fixture.cache, "main-1", [9; 32], vec![1]).await.unwrap();
    catalog.register_client_key(fixture.cache, "main-1", [8; 32]).await.unwrap();
    let nar = fixture.nar(1).await.id;
    catalog.move_nar(nar, fixture.second, fixture.first).await.unwrap();
    fixture.declare(&["first", "second"]).await;
    catalog.mark_unpublished(fixture.cache, &[path_hash(1)]).await.unwrap();
    catalog.revoke_token(Uuid::from_u128(1)).await.unwrap();
    catalog.touch(vec![(fixture.cache, path_hash(1), UnixTime(3_000_000))]).await.unwrap();

    fixture.create(3, 3).await;
    assert_eq!(changes.next().await, Some(change(&fixture, 3, PathChange::Inserted)));
}

pub(super) async fn thousands_of_changes_at_once_are_all_heard(backend: Backend) {
    let fixture = backend.fixture().await;
    let commits = (0..2000).map(|path| PathCommit { references: vec![], ..fixture.commit(path, 1) });
    futures_util::future::try_join_all(commits.map(|commit| fixture.catalog.commit_path(commit)))
        .await
        .unwrap();
    let mut changes = Box::pin(listening(&backend.open().await).await);
    fixture.damage(1).await;
    fixture.catalog.commit_path(fixture.commit(0, 1)).await.unwrap();
    for expected in [PathChange::Hidden, PathChange::Inserted] {
        let mut heard = Vec::new();
        while heard.len() < 2000 {
            match changes.next().await {
                Some(CatalogChange::Path { path, change, .. }) if change == expected => heard.push(path),
                other => panic!("{other:?}"),
            }
        }
        heard.sort();
        assert_eq!(heard, (0..2000).map(path_hash).collect::<Vec<_>>());
    }
}

pub(super) async fn a_listener_that_was_cut_off_says_so_and_goes_on(backend: Backend) {
    let fixture = backend.fixture().await;
    let mut changes = Box::pin(listening(&fixture.catalog).await);
    fixture.create(1, 1).await;
    assert_eq!(changes.next().await, Some(change(&fixture, 1, PathChange::Inserted)));
    backend.database().run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    );
    fixture.create(2, 2).await;
    assert_eq!(changes.next().await, Some(CatalogChange::Resync));
    fixture.create(3, 3).await;
    assert_eq!(changes.next().await, Some(change(&fixture, 3, PathChange::Inserted)));
}

pub(super) async fn the_feed_ends_when_the_catalog_is_closed(backend: Backend) {
    let fixture = backend.fixture().await;
    let mut changes = Box::pin(listening(&fixture.catalog).await);
    let waiting = tokio::spawn(async move { changes.next().await });
    fixture.catalog.close().await;
    assert_eq!(waiting.await.unwrap(), None);
    assert_eq!(Box::pin(fixture.catalog.changes()).next().await, None);
}
