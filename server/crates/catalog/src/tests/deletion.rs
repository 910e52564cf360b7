//! Paths that are deleted because someone says so.

use super::gc::{push, sweep};
use super::support::{Backend, Fixture, path_hash, store_path};
use crate::{Deleted, Deletion, Keep, NewPin, UnixTime};

const NOW: UnixTime = UnixTime(6_000_000);

async fn delete(fixture: &Fixture, path: u32, recursive: bool) -> Deleted {
    let deletion =
        Deletion { cache: fixture.cache, path: path_hash(path), recursive, now: NOW, trash: false };
    fixture.catalog.delete_path(deletion).await.unwrap()
}

/// The numbers of the paths that went.
#[track_caller]
fn gone(deleted: Deleted) -> Vec<u32> {
    let Deleted::Done { paths: deleted, .. } = deleted else { panic!("{deleted:?}") };
    let number = |hash: &[u8]| u32::from_be_bytes(hash[..4].try_into().unwrap());
    let mut gone: Vec<u32> = deleted.iter().map(|deleted| number(deleted.path.hash().as_bytes())).collect();
    gone.sort_unstable();
    gone
}

async fn pin(fixture: &Fixture, path: u32, keep: Keep, at: UnixTime) {
    let pin = NewPin {
        cache: fixture.cache,
        name: "held".to_owned(),
        path: path_hash(path),
        artifacts: Vec::new(),
        keep,
    };
    fixture.catalog.add_pin_at(pin, at).await.unwrap();
}

pub(super) async fn a_path_is_deleted_whatever_its_age(backend: Backend) {
    let fixture = backend.fixture().await;
    // It refers to itself, which keeps nothing.
    push(&fixture, 1, &[1, 2], NOW).await;
    push(&fixture, 2, &[], NOW).await;
    let Deleted::Done { paths: deleted, .. } = delete(&fixture, 1, false).await else { panic!("it stays") };
    let [deleted] = &deleted[..] else { panic!("{deleted:?}") };
    assert_eq!(deleted.path, store_path(1));
    let left = fixture.catalog.tombstones(fixture.first, None, 9).await.unwrap();
    assert_eq!(left, [deleted.tombstone]);
    assert_eq!(fixture.visible().await, [path_hash(2)]);
    assert_eq!(delete(&fixture, 1, false).await, Deleted::Unknown);

    // A narinfo may still name the file.
    let other = fixture.nar(2).await;
    let nars = [other.id, deleted.nar.id];
    assert_eq!(fixture.catalog.unneeded_of(&nars).await.unwrap(), []);
    fixture.catalog.remove_tombstones(vec![deleted.tombstone.id]).await.unwrap();
    assert_eq!(fixture.catalog.unneeded_of(&nars).await.unwrap(), std::slice::from_ref(&deleted.nar));
    assert_eq!(sweep(&fixture.catalog, &fixture).await, [1]);
    push(&fixture, 1, &[2], NOW).await;
    assert_eq!(fixture.visible().await, [1, 2].map(path_hash));
}

pub(super) async fn what_others_refer_to_is_deleted_with_them_or_not_at_all(backend: Backend) {
    let fixture = backend.fixture().await;
    push(&fixture, 1, &[], NOW).await;
    for path in 2..=8 {
        push(&fixture, path, &[1], NOW).await;
    }
    push(&fixture, 9, &[8, 9], NOW).await;
    push(&fixture, 10, &[], NOW).await;
    // A reference from another cache does not count.
    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    push(&other, 11, &[10], NOW).await;
    let Deleted::Needed { by, count } = delete(&fixture, 1, false).await else { panic!("it goes") };
    assert_eq!((count, by), (7, (2..=6).map(store_path).collect()));
    assert_eq!(fixture.visible().await.len(), 10, "nothing was changed");
    assert_eq!(gone(delete(&fixture, 10, false).await), [10]);
    assert_eq!(gone(delete(&fixture, 8, true).await), [8, 9]);
    assert_eq!(gone(delete(&fixture, 1, true).await), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(fixture.visible().await, []);
    assert_eq!(other.visible().await, [path_hash(11)]);
}

pub(super) async fn what_a_pin_holds_is_not_deleted(backend: Backend) {
    let fixture = backend.fixture().await;
    push(&fixture, 1, &[], NOW).await;
    push(&fixture, 2, &[1], NOW).await;
    pin(&fixture, 2, Keep::Days(1), NOW).await;
    for (path, recursive) in [(2, false), (2, true), (1, true)] {
        let Deleted::Pinned(pins) = delete(&fixture, path, recursive).await else { panic!("{path} goes") };
        assert_eq!(pins.iter().map(|pin| pin.path.clone()).collect::<Vec<_>>(), [store_path(2)]);
    }
    fixture.catalog.remove_pins(fixture.cache, "held", None).await.unwrap();
    // One that holds no more.
    pin(&fixture, 2, Keep::Days(1), UnixTime(1)).await;
    assert_eq!(gone(delete(&fixture, 1, true).await), [1, 2]);
}

pub(super) async fn only_so_many_paths_are_deleted_at_once(backend: Backend) {
    let fixture = backend.fixture().await;
    push(&fixture, 0, &[], NOW).await;
    for path in 1..=20 {
        push(&fixture, path, &[path - 1], NOW).await;
    }
    assert_eq!(delete(&fixture, 0, true).await, Deleted::TooMany(20));
    assert_eq!(gone(delete(&fixture, 1, true).await).len(), 20);
}

pub(super) async fn what_lies_on_a_storage_out_of_use_is_not_deleted(backend: Backend) {
    let fixture = backend.fixture().await;
    push(&fixture, 1, &[], NOW).await;
    fixture.declare(&["second"]).await;
    assert_eq!(delete(&fixture, 1, false).await, Deleted::OutOfUse(fixture.first));
    fixture.declare(&["first", "second"]).await;
    assert_eq!(gone(delete(&fixture, 1, false).await), [1]);
}
