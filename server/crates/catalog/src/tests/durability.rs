use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, QueryOrder};
use sea_orm_migration::seaql_migrations;
use uuid::Uuid;

use super::support::{Backend, Fixture, path_hash};
use crate::entity::{cache, storage};
use crate::writer::Written;
use crate::{
    CatalogError, JobState, Keep, NewPin, PathCommit, StorageJob, TokenCaches, TokenPermission, TokenRecord,
    TokenScope, UnixTime,
};

pub(super) async fn acknowledged_commits_survive_without_close(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in 0..10 {
        fixture.create(number, number).await;
    }
    drop(fixture);
    let fixture = backend.fixture().await;
    assert_eq!(fixture.visible().await, (0..10).map(path_hash).collect::<Vec<_>>());
}

pub(super) async fn everything_survives_closing_and_opening(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let commit = PathCommit { upload: Some(Uuid::from_u128(1)), ..fixture.commit(1, 1) };
    catalog.commit_path(commit).await.unwrap();
    catalog.add_server_key(fixture.cache, "main-1", [7; 32]).await.unwrap();
    let token = TokenRecord {
        id: Uuid::from_u128(2),
        subject: "ci".to_owned(),
        scope: TokenScope::Caches { caches: TokenCaches::All, permission: TokenPermission::Admin },
        created_at: UnixTime(1),
        expires_at: None,
        revoked_at: None,
        daily_limit: None,
    };
    catalog.insert_token(token).await.unwrap();
    let pin = NewPin {
        cache: fixture.cache,
        name: "v1".to_owned(),
        path: path_hash(1),
        artifacts: vec![],
        keep: Keep::All,
    };
    catalog.add_pin(pin).await.unwrap();

    catalog.set_storage_marker(fixture.first, "0815".to_owned()).await.unwrap();
    catalog.save_turns(fixture.cache, "first".to_owned()).await.unwrap();
    catalog.record_open_upload(Uuid::from_u128(3), fixture.cache, "me").await.unwrap();
    let state = JobState {
        after: Some(fixture.nar(1).await.id),
        started_at: UnixTime(1),
        finished_at: None,
        files: 1,
        bytes: 101,
        damaged: 0,
        failed: 0,
    };
    catalog.save_job_state(fixture.first, StorageJob::Scrub, state).await.unwrap();

    let before = everything(&fixture).await;
    catalog.close().await;
    let reopened = backend.fixture().await;
    assert_eq!(everything(&reopened).await, before);
}

/// All that the catalog says, as text.
async fn everything(fixture: &Fixture) -> String {
    let catalog = &fixture.catalog;
    format!(
        "{:?}",
        (
            catalog.list_paths(fixture.cache, None, 100).await.unwrap(),
            catalog.signing_keys(fixture.cache).await.unwrap(),
            catalog.tokens().await.unwrap(),
            catalog.list_pins(fixture.cache).await.unwrap(),
            catalog.unpublished(None, 100).await.unwrap(),
            catalog.find_finished_upload(Uuid::from_u128(1)).await.unwrap(),
            catalog.find_open_upload(Uuid::from_u128(3)).await.unwrap(),
            catalog.job_state(fixture.first, StorageJob::Scrub).await.unwrap(),
            cache::Entity::find().order_by_asc(cache::Column::Id).all(catalog.readers()).await.unwrap(),
            storage::Entity::find().order_by_asc(storage::Column::Id).all(catalog.readers()).await.unwrap(),
            catalog.cache_stats(fixture.cache).await.unwrap(),
        )
    )
}

pub(super) async fn opening_again_changes_nothing(backend: Backend) {
    let first = backend.fixture().await;
    first.create(1, 1).await;
    let before = everything(&first).await;
    let second = backend.fixture().await;
    assert_eq!(everything(&second).await, before);
    second.create(2, 2).await;
    assert_eq!(first.visible().await, [path_hash(1), path_hash(2)]);
}

pub(super) async fn a_database_of_a_newer_version_is_refused(backend: Backend) {
    let catalog = backend.open().await;
    catalog
        .write((), |transaction, ()| {
            Box::pin(async move {
                seaql_migrations::ActiveModel {
                    version: ActiveValue::Set("m29991231_000001_flying_caches".to_owned()),
                    applied_at: ActiveValue::Set(0),
                }
                .insert(transaction)
                .await?;
                Ok(Written::quietly(()))
            })
        })
        .await
        .unwrap();
    catalog.close().await;
    let error = backend.try_open().await.unwrap_err();
    assert!(matches!(error, CatalogError::NewerDatabase { .. }), "{error}");
    assert!(error.to_string().contains("m29991231_000001_flying_caches"), "{error}");
}
