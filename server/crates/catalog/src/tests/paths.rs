use futures_util::TryStreamExt;
use nix_formats::StorePathHash;

use super::support::{Backend, Fixture, path_hash};
use crate::{CacheId, PathCommit, PathRecord, UnixTime};

pub(super) async fn an_unknown_path_is_not_found(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let find = async |cache, hash| fixture.catalog.find_path(cache, &hash).await.unwrap();
    assert_eq!(find(fixture.cache, path_hash(2)).await, None);
    assert_eq!(find(CacheId(fixture.cache.0 + 1), path_hash(1)).await, None);
}

pub(super) async fn visible_hashes_come_in_batches_and_leave_out_the_hidden(backend: Backend) {
    let fixture = backend.fixture().await;
    let commits = (0..250).map(|number| fixture.commit(number, number / 2));
    let commits = commits.map(|commit| PathCommit { references: vec![], ..commit });
    futures_util::future::try_join_all(commits.map(|commit| fixture.catalog.commit_path(commit)))
        .await
        .unwrap();
    assert_eq!(fixture.damage(3).await, [path_hash(6), path_hash(7)]);

    let batches: Vec<_> = fixture.catalog.visible_path_hashes(fixture.cache).try_collect().await.unwrap();
    assert!(batches.len() > 2);
    let expected: Vec<_> = (0..250).filter(|number| ![6, 7].contains(number)).map(path_hash).collect();
    assert_eq!(batches.concat(), expected);
}

pub(super) async fn paths_are_listed_in_pages(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in [5, 2, 4, 1, 3] {
        fixture.create(number, number).await;
    }
    fixture.damage(2).await;
    let page = async |after, limit| -> Vec<PathRecord> {
        fixture.catalog.list_paths(fixture.cache, after, limit).await.unwrap()
    };
    let hashes = |records: &[PathRecord]| -> Vec<StorePathHash> {
        records.iter().map(|record| *record.path.hash()).collect()
    };
    let first = page(None, 2).await;
    assert_eq!(hashes(&first), [path_hash(1), path_hash(2)]);
    assert!(first[1].nar.damaged);
    assert_eq!(first[0].references, fixture.commit(1, 1).references);
    let rest = page(Some(path_hash(2)), 10).await;
    assert_eq!(hashes(&rest), [path_hash(3), path_hash(4), path_hash(5)]);
}

async fn signatures(fixture: &Fixture) -> Vec<String> {
    let found = fixture.catalog.find_path(fixture.cache, &path_hash(1)).await;
    found.unwrap().unwrap().signatures
}

pub(super) async fn signatures_are_added_once(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let add = async |path, signatures: &[&str]| {
        let signatures = signatures.iter().map(|&text| text.to_owned()).collect();
        fixture.catalog.add_signatures(fixture.cache, path_hash(path), signatures).await
    };
    assert!(add(1, &["b-1:y", "b-1:y", "main-1:1"]).await.unwrap());
    assert_eq!(signatures(&fixture).await, ["main-1:1", "b-1:y"]);
    assert!(!add(1, &["b-1:y"]).await.unwrap());
    assert!(!add(2, &["b-1:y"]).await.unwrap());
    assert!(add(1, &["c-1:z\nURL: elsewhere"]).await.is_err());
    assert_eq!(signatures(&fixture).await, ["main-1:1", "b-1:y"]);
}

pub(super) async fn a_use_moves_the_time_forward_only(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 2).await;
    let touch = async |uses: &[(u32, i64)]| {
        let uses =
            uses.iter().map(|&(path, time)| (fixture.cache, path_hash(path), UnixTime(time))).collect();
        fixture.catalog.touch(uses).await.unwrap();
    };
    let last_used = async |path| {
        let found = fixture.catalog.find_path(fixture.cache, &path_hash(path)).await;
        found.unwrap().unwrap().last_used_at.0
    };
    touch(&[(1, 3_000_000), (2, 2_000_000), (9, 3_000_000)]).await;
    assert_eq!((last_used(1).await, last_used(2).await), (3_000_000, 2_000_000));
    touch(&[(1, 2_500_000), (2, 2_500_000), (2, 2_400_000)]).await;
    assert_eq!((last_used(1).await, last_used(2).await), (3_000_000, 2_500_000));
    touch(&[]).await;
}
