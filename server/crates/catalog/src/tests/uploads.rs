use uuid::Uuid;

use super::support::{Backend, new_nar, path_hash};
use crate::{CacheId, FinishedUpload, NewNar, OpenUpload, PathCommit, UnixTime};

fn upload(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(super) async fn a_finished_upload_is_known_for_every_outcome(backend: Backend) {
    let fixture = backend.fixture().await;
    let commit = async |number| {
        let commit = PathCommit { upload: Some(upload(number)), ..fixture.commit(1, 1) };
        fixture.catalog.commit_path(commit).await.unwrap();
    };
    // Created, already present, healed, and each of them once more.
    for number in [1, 2, 1, 2] {
        commit(number).await;
    }
    fixture.damage(1).await;
    commit(3).await;
    commit(3).await;
    for number in 1..=3 {
        let found = fixture.catalog.find_finished_upload(upload(number)).await;
        let expected = FinishedUpload { cache: fixture.cache, path: path_hash(1) };
        assert_eq!(found.unwrap(), Some(expected));
    }
    let unknown = fixture.catalog.find_finished_upload(upload(4)).await;
    assert_eq!(unknown.unwrap(), None);
}

pub(super) async fn a_failed_commit_finishes_no_upload(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let commit = PathCommit {
        upload: Some(upload(1)),
        nar: NewNar { nar_size: 1, ..new_nar(fixture.first, 1) },
        ..fixture.commit(2, 1)
    };
    fixture.catalog.commit_path(commit).await.unwrap_err();
    let found = fixture.catalog.find_finished_upload(upload(1)).await;
    assert_eq!(found.unwrap(), None);
}

pub(super) async fn old_uploads_are_forgotten(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in 1..=3_u32 {
        let commit = PathCommit {
            upload: Some(upload(number.into())),
            created_at: UnixTime(number.into()),
            ..fixture.commit(number, number)
        };
        fixture.catalog.commit_path(commit).await.unwrap();
    }
    let forgotten = fixture.catalog.forget_finished_uploads(UnixTime(3)).await;
    assert_eq!(forgotten.unwrap(), 2);
    let find = async |number| fixture.catalog.find_finished_upload(upload(number)).await.unwrap();
    assert!(find(2).await.is_none());
    assert!(find(3).await.is_some());
}

pub(super) async fn an_open_upload_is_known_until_it_is_finished_or_forgotten(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    for number in 1..=5 {
        catalog.record_open_upload(upload(number), fixture.cache, "http://a").await.unwrap();
    }
    let found = async |number| catalog.find_open_upload(upload(number)).await.unwrap();
    let open = OpenUpload { cache: fixture.cache, owner: "http://a".to_owned() };
    assert_eq!(found(1).await, Some(open));
    assert_eq!(found(6).await, None);

    let commit = PathCommit { upload: Some(upload(1)), ..fixture.commit(1, 1) };
    catalog.commit_path(commit).await.unwrap();
    let present = PathCommit { upload: Some(upload(2)), ..fixture.commit(1, 1) };
    catalog.commit_path(present).await.unwrap();
    catalog.record_finished_upload(upload(3), fixture.cache, path_hash(1)).await.unwrap();
    catalog.forget_open_upload(upload(4)).await.unwrap();
    catalog.forget_open_upload(upload(4)).await.unwrap();
    let refused = PathCommit {
        upload: Some(upload(5)),
        nar: NewNar { nar_size: 1, ..new_nar(fixture.first, 1) },
        ..fixture.commit(2, 1)
    };
    catalog.commit_path(refused).await.unwrap_err();
    let mut left = Vec::new();
    for number in 1..=5 {
        left.push(found(number).await.is_some());
    }
    assert_eq!(left, [false, false, false, false, true]);
}

pub(super) async fn a_waiting_file_is_found_until_its_upload_ends(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let file = |number| new_nar(fixture.first, number).file_hash;
    for (number, owner) in [(1, "a"), (2, "b")] {
        catalog.record_waiting_file(upload(number), fixture.cache, owner, file(1)).await.unwrap();
    }
    catalog.record_open_upload(upload(3), fixture.cache, "c").await.unwrap();
    let owners = async |cache, number| {
        let found = catalog.find_waiting_files(cache, &file(number)).await.unwrap();
        let mut owners: Vec<_> = found.into_iter().map(|open| open.owner).collect();
        owners.sort();
        owners
    };
    assert_eq!(owners(fixture.cache, 1).await, ["a", "b"]);
    assert!(owners(fixture.cache, 2).await.is_empty());
    assert!(owners(CacheId(fixture.cache.0 + 1), 1).await.is_empty());

    let commit = PathCommit { upload: Some(upload(1)), ..fixture.commit(1, 1) };
    catalog.commit_path(commit).await.unwrap();
    assert_eq!(owners(fixture.cache, 1).await, ["b"]);
    catalog.forget_open_upload(upload(2)).await.unwrap();
    assert!(owners(fixture.cache, 1).await.is_empty());
}

pub(super) async fn open_uploads_go_with_their_daemon(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let record = |number, owner| catalog.record_open_upload(upload(number), fixture.cache, owner);
    for (number, owner) in [(1, "a"), (2, "a"), (3, "b"), (4, "a")] {
        record(number, owner).await.unwrap();
    }
    // Another daemon took it over.
    record(2, "b").await.unwrap();
    assert_eq!(catalog.forget_open_uploads_of("a").await.unwrap(), 2);
    assert_eq!(catalog.forget_open_uploads_of("a").await.unwrap(), 0);
    let owner = async |number| catalog.find_open_upload(upload(number)).await.unwrap().map(|open| open.owner);
    assert_eq!(owner(1).await, None);
    assert_eq!(owner(2).await.as_deref(), Some("b"));
    assert_eq!(owner(3).await.as_deref(), Some("b"));
}

pub(super) async fn old_open_uploads_are_forgotten(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let before = UnixTime::now();
    catalog.record_open_upload(upload(1), fixture.cache, "a").await.unwrap();
    assert_eq!(catalog.forget_open_uploads_before(before).await.unwrap(), 0);
    assert!(catalog.find_open_upload(upload(1)).await.unwrap().is_some());
    let later = UnixTime(UnixTime::now().0 + 1);
    assert_eq!(catalog.forget_open_uploads_before(later).await.unwrap(), 1);
    assert_eq!(catalog.find_open_upload(upload(1)).await.unwrap(), None);
}

pub(super) async fn an_upload_of_what_is_there_counts_as_a_use(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let before = UnixTime::now();
    fixture.catalog.record_finished_upload(upload(1), fixture.cache, path_hash(1)).await.unwrap();
    assert!(fixture.path(1).await.last_used_at >= before);
}
