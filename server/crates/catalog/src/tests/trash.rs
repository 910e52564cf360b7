//! Paths that were removed and can be restored.

use super::gc::{push, sweep};
use super::support::{Backend, Fixture, path_hash, store_path};
use crate::{
    Deleted, Deletion, EmptiedTrash, MoveOutcome, NarId, PathRecord, Restored, TrashToEmpty, UnixTime,
};

const PUSHED: UnixTime = UnixTime(1_000_000);
const NOW: UnixTime = UnixTime(6_000_000);

async fn trash(fixture: &Fixture, path: u32) {
    let deletion =
        Deletion { cache: fixture.cache, path: path_hash(path), recursive: true, now: NOW, trash: true };
    let deleted = fixture.catalog.delete_path(deletion).await.unwrap();
    assert!(matches!(deleted, Deleted::Done { .. }), "{deleted:?}");
}

async fn restore(fixture: &Fixture, path: u32) -> Restored {
    fixture.catalog.restore_path(fixture.cache, path_hash(path), NOW).await.unwrap()
}

/// The numbers of the paths in the trash, in their order.
async fn trashed(fixture: &Fixture) -> Vec<u32> {
    let found = fixture.catalog.trashed_paths(fixture.cache, None, 100).await.unwrap();
    let number = |hash: &[u8]| u32::from_be_bytes(hash[..4].try_into().unwrap());
    found.iter().map(|path| number(path.path.hash().as_bytes())).collect()
}

async fn empty(fixture: &Fixture, before: Option<UnixTime>, limit: u64) -> EmptiedTrash {
    let wanted = TrashToEmpty { storage: fixture.first, before, limit };
    fixture.catalog.empty_trash(wanted).await.unwrap()
}

pub(super) async fn a_restored_path_is_as_it_was_but_for_its_last_use(backend: Backend) {
    let fixture = backend.fixture().await;
    for (path, references) in [(3, vec![]), (2, vec![3, 99]), (1, vec![1, 2])] {
        push(&fixture, path, &references, PUSHED).await;
    }
    let before: Vec<PathRecord> =
        [fixture.path(1).await, fixture.path(2).await, fixture.path(3).await].into();
    trash(&fixture, 3).await;
    assert_eq!(fixture.visible().await, []);
    assert_eq!(sweep(&fixture.catalog, &fixture).await, [] as [u32; 0], "the trash needs them");
    let stats = fixture.catalog.trash_stats(fixture.first).await.unwrap();
    assert_eq!((stats.paths, stats.bytes), (3, 101 + 102 + 103));
    let hashes = [1, 2, 3, 4].map(path_hash);
    assert_eq!(fixture.catalog.removed_of(fixture.cache, &hashes).await.unwrap().len(), 3);

    let Restored::Done { paths, missing } = restore(&fixture, 1).await else { panic!("it stays") };
    assert_eq!(paths, [1, 2, 3].map(store_path));
    assert_eq!(missing, [store_path(99)]);
    for record in before {
        let now = fixture.catalog.find_path(fixture.cache, record.path.hash()).await.unwrap().unwrap();
        assert_eq!(now, PathRecord { id: now.id, last_used_at: NOW, ..record });
    }
    let unpublished = fixture.catalog.unpublished(None, 10).await.unwrap();
    assert_eq!(unpublished.len(), 3, "the files beside their NARs are to be written");
    assert_eq!(trashed(&fixture).await, [] as [u32; 0]);
    assert_eq!(restore(&fixture, 1).await, Restored::Present);
    assert_eq!(restore(&fixture, 99).await, Restored::Unknown);
}

pub(super) async fn what_is_emptied_goes_in_the_order_of_its_removal(backend: Backend) {
    let fixture = backend.fixture().await;
    for path in [1, 2, 3] {
        push(&fixture, path, &[], PUSHED).await;
    }
    for path in [2, 1, 3] {
        trash(&fixture, path).await;
    }
    assert_eq!(trashed(&fixture).await, [2, 1, 3]);
    assert_eq!(empty(&fixture, Some(NOW), 10).await, EmptiedTrash::default(), "none is that old");
    let first = fixture.nar(2).await.id;
    let emptied = empty(&fixture, None, 1).await;
    assert_eq!((emptied.paths, emptied.nars), (1, vec![first]));
    let still =
        fixture.catalog.derivers_without_paths(fixture.cache, emptied.derivers.clone()).await.unwrap();
    assert_eq!(still, emptied.derivers, "no other path has the derivation");
    assert_eq!(restore(&fixture, 2).await, Restored::Unknown);
    assert_eq!(sweep(&fixture.catalog, &fixture).await, [2]);
    assert_eq!(empty(&fixture, Some(UnixTime(NOW.0 + 1)), 10).await.paths, 2);
    assert_eq!(sweep(&fixture.catalog, &fixture).await, [1, 3]);
}

pub(super) async fn a_trashed_path_is_replaced_by_what_comes_later(backend: Backend) {
    let fixture = backend.fixture().await;
    push(&fixture, 1, &[], PUSHED).await;
    trash(&fixture, 1).await;
    push(&fixture, 1, &[], PUSHED).await;
    assert_eq!(trashed(&fixture).await, [] as [u32; 0]);
    trash(&fixture, 1).await;
    // A file that was moved, or healed, is the one that is restored.
    let nar: NarId = fixture.nar(1).await.id;
    let moved = fixture.catalog.move_nar(nar, fixture.first, fixture.second).await.unwrap();
    assert!(matches!(moved, MoveOutcome::Moved { .. }));
    assert!(matches!(restore(&fixture, 1).await, Restored::Done { .. }));
    assert_eq!(fixture.path(1).await.nar.storage, fixture.second);
    trash(&fixture, 1).await;
    fixture.damage(1).await;
    assert_eq!(restore(&fixture, 1).await, Restored::Damaged);
    push(&fixture, 1, &[], PUSHED).await;
    assert_eq!(fixture.visible().await, [path_hash(1)]);
    fixture.declare(&["first"]).await;
    // A damaged path is not worth keeping.
    fixture.damage(1).await;
    push(&fixture, 2, &[], PUSHED).await;
    fixture.damage(2).await;
    trash(&fixture, 2).await;
    assert_eq!(trashed(&fixture).await, [] as [u32; 0]);
}

pub(super) async fn realisations_go_with_the_last_of_their_paths(backend: Backend) {
    let fixture = backend.fixture().await;
    let (catalog, cache) = (&fixture.catalog, fixture.cache);
    push(&fixture, 1, &[], PUSHED).await;
    let hashes = [1, 2].map(path_hash);
    for (name, hash) in [("a", &hashes[0]), ("b", &hashes[1]), ("c", &hashes[0]), ("c", &hashes[1])] {
        catalog.record_realisation(cache, name, hash).await.unwrap();
    }
    let mut gone = catalog.realisations_without_paths(cache, &hashes).await.unwrap();
    gone.sort();
    assert_eq!(gone, ["b", "c"], "the row that was recorded last counts");
    trash(&fixture, 1).await;
    assert_eq!(catalog.realisations_without_paths(cache, &hashes[..1]).await.unwrap(), [] as [String; 0]);
    let emptied = empty(&fixture, None, 10).await;
    assert_eq!(emptied.hashes, hashes[..1]);
    assert_eq!(catalog.realisations_without_paths(cache, &emptied.hashes).await.unwrap(), ["a"]);
    catalog.forget_realisations(cache, vec!["a".to_owned(), "b".to_owned()]).await.unwrap();
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let known = catalog.known_realisations(cache, names).await.unwrap();
    assert_eq!(known, ["c".to_owned()].into());
}
