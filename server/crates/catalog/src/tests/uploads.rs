use uuid::Uuid;

use super::support::{Backend, new_nar, path_hash};
use crate::{FinishedUpload, NewNar, PathCommit, UnixTime};

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
