use super::support::{Backend, Fixture, file_hash, path_hash, store_path};
use crate::{
    Catalog, Census, Held, Keep, NarRecord, NewPin, PathCommit, PathId, Tombstone, TombstoneBatch,
    TombstoneOutcome, UnixTime,
};

/// What was used before is old.
const CUTOFF: UnixTime = UnixTime(5_000_000);
const NOW: UnixTime = UnixTime(6_000_000);

/// Commits path `path` as the file of the same number, with references, at a time.
pub(super) async fn push(fixture: &Fixture, path: u32, references: &[u32], at: UnixTime) {
    let commit = PathCommit {
        references: references.iter().map(|&target| store_path(target)).collect(),
        created_at: at,
        ..fixture.commit(path, path)
    };
    fixture.catalog.commit_path(commit).await.unwrap();
}

async fn push_old(fixture: &Fixture, path: u32, references: &[u32]) {
    push(fixture, path, references, UnixTime(1_000)).await;
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

async fn census(fixture: &Fixture) -> Census {
    fixture.catalog.census(fixture.cache, NOW).await.unwrap()
}

/// The paths that may go, in their order.
fn dead(census: &Census) -> Vec<u32> {
    let batches = census.batches(census.unused_since(CUTOFF), 3);
    batches.flatten().map(|path| number(path.hash.as_bytes())).collect()
}

fn number(hash: &[u8]) -> u32 {
    u32::from_be_bytes(hash[..4].try_into().unwrap())
}

/// Buries what the census finds dead, in small batches.
async fn tombstone(fixture: &Fixture, census: &Census) -> TombstoneOutcome {
    let mut all = TombstoneOutcome::default();
    for paths in census.batches(census.unused_since(CUTOFF), 2) {
        let batch =
            TombstoneBatch { cache: fixture.cache, paths, unused_since: CUTOFF, now: NOW, trash: false };
        let outcome = fixture.catalog.tombstone_paths(batch).await.unwrap();
        all.tombstoned.extend(outcome.tombstoned);
        all.alive.extend(outcome.alive);
    }
    all.tombstoned.sort();
    all.alive.sort();
    all
}

async fn tombstones(fixture: &Fixture) -> Vec<Tombstone> {
    fixture.catalog.tombstones(fixture.first, None, 100).await.unwrap()
}

/// Does with tombstones and files what is done once the storage has lost them. Returns the files.
pub(super) async fn sweep(catalog: &Catalog, fixture: &Fixture) -> Vec<u32> {
    let tombstones = catalog.tombstones(fixture.first, None, 1000).await.unwrap();
    catalog.remove_tombstones(tombstones.iter().map(|tombstone| tombstone.id).collect()).await.unwrap();
    let nars = catalog.unneeded_nars(fixture.first, None, 1000).await.unwrap();
    let ids: Vec<_> = nars.iter().map(|nar| nar.id).collect();
    let is_given_up =
        async |nar: &NarRecord| catalog.is_given_up(fixture.cache, &nar.file_hash).await.unwrap();
    assert_eq!(catalog.give_up_nars(ids.clone()).await.unwrap().len(), ids.len());
    for nar in &nars {
        assert!(is_given_up(nar).await, "others wait until it is removed");
    }
    assert_eq!(catalog.forget_nars(ids.clone()).await.unwrap().len(), ids.len());
    for nar in &nars {
        assert!(!is_given_up(nar).await);
    }
    assert_eq!(catalog.forget_nars(ids).await.unwrap(), [], "done is done");
    nars.iter().map(|nar| number(nar.file_hash.as_bytes())).collect()
}

pub(super) async fn a_path_lives_as_long_as_one_that_refers_to_it(backend: Backend) {
    let fixture = backend.fixture().await;
    for (path, references) in [(1, vec![2, 1]), (2, vec![3]), (3, vec![]), (4, vec![3, 5]), (5, vec![])] {
        push_old(&fixture, path, &references).await;
    }
    let of_all = dead(&census(&fixture).await);
    let place = |path| of_all.iter().position(|&other| other == path).unwrap();
    assert_eq!(of_all.len(), 5);
    assert!(place(1) < place(2) && place(2) < place(3) && place(4) < place(3) && place(4) < place(5));

    fixture.catalog.touch(vec![(fixture.cache, path_hash(1), CUTOFF)]).await.unwrap();
    let census = census(&fixture).await;
    assert_eq!(dead(&census), [4, 5]);
    let fate = census.fate(&path_hash(3)).unwrap();
    assert_eq!(fate.chain, [3, 2, 1].map(path_hash));
    assert_eq!(fate.held, Held::Use(CUTOFF));
    assert_eq!(census.last_use(&path_hash(3)), Some(CUTOFF));
    assert_eq!(census.fate(&path_hash(9)), None);
}

pub(super) async fn what_is_buried_is_gone_but_for_its_files(backend: Backend) {
    let fixture = backend.fixture().await;
    push_old(&fixture, 1, &[2]).await;
    push_old(&fixture, 2, &[]).await;
    push(&fixture, 3, &[2], NOW).await;
    let outcome = tombstone(&fixture, &census(&fixture).await).await;
    assert_eq!(outcome, TombstoneOutcome { tombstoned: vec![path_hash(1)], ..TombstoneOutcome::default() });
    assert_eq!(fixture.visible().await, [2, 3].map(path_hash));
    assert!(fixture.catalog.find_path(fixture.cache, &path_hash(1)).await.unwrap().is_none());
    let left = tombstones(&fixture).await;
    assert_eq!((left.len(), left[0].hash, left[0].storage), (1, path_hash(1), fixture.first));
    assert_eq!(fixture.catalog.count_tombstones(fixture.first).await.unwrap(), 1);

    // A narinfo may still name the file.
    assert_eq!(fixture.catalog.unneeded_nars(fixture.first, None, 9).await.unwrap(), []);
    assert_eq!(sweep(&fixture.catalog, &fixture).await, [1]);
    assert_eq!(tombstones(&fixture).await, []);
    assert!(fixture.catalog.find_nar(fixture.cache, &file_hash(1)).await.unwrap().is_none());
    assert_eq!(fixture.catalog.cache_stats(fixture.cache).await.unwrap().nars, 2);
}

pub(super) async fn what_happens_after_the_census_counts(backend: Backend) {
    let fixture = backend.fixture().await;
    for path in 1..=8 {
        push_old(&fixture, path, if path == 5 { &[6] } else { &[] }).await;
    }
    let census = census(&fixture).await;
    assert_eq!(dead(&census).len(), 8);
    fixture.catalog.touch(vec![(fixture.cache, path_hash(1), NOW)]).await.unwrap();
    pin(&fixture, 2, Keep::Forever, NOW).await;
    push(&fixture, 9, &[3], NOW).await;
    // A push of what is there.
    push(&fixture, 4, &[], NOW).await;
    push(&fixture, 10, &[5], NOW).await;
    let outcome = tombstone(&fixture, &census).await;
    assert_eq!(outcome.alive, [1, 2, 3, 4, 5, 6].map(path_hash));
    assert_eq!(outcome.tombstoned, [7, 8].map(path_hash));
}

pub(super) async fn a_buried_path_is_pushed_anew(backend: Backend) {
    let fixture = backend.fixture().await;
    push_old(&fixture, 1, &[]).await;
    let before = fixture.path(1).await;
    tombstone(&fixture, &census(&fixture).await).await;
    // Its file is still there, and is used again.
    push(&fixture, 1, &[], NOW).await;
    let after = fixture.path(1).await;
    assert!(after.id > before.id);
    assert_eq!(after.nar, before.nar);
    assert_eq!(sweep(&fixture.catalog, &fixture).await, [0; 0]);
    fixture.path(1).await;
}

pub(super) async fn a_file_that_was_given_up_is_stored_anew(backend: Backend) {
    let fixture = backend.fixture().await;
    push_old(&fixture, 1, &[]).await;
    tombstone(&fixture, &census(&fixture).await).await;
    let ids = tombstones(&fixture).await.iter().map(|tombstone| tombstone.id).collect();
    fixture.catalog.remove_tombstones(ids).await.unwrap();
    let old = fixture.nar(1).await;
    assert_eq!(fixture.catalog.give_up_nars(vec![old.id]).await.unwrap(), [old.id]);
    push(&fixture, 1, &[], NOW).await;
    let new = fixture.nar(1).await;
    assert!(new.id > old.id && !new.damaged);
    assert_eq!(fixture.catalog.forget_nars(vec![old.id]).await.unwrap(), []);
    // One that is needed is neither given up nor forgotten.
    assert_eq!(fixture.catalog.give_up_nars(vec![new.id]).await.unwrap(), []);
    assert_eq!(fixture.catalog.forget_nars(vec![new.id]).await.unwrap(), []);
    assert_eq!(fixture.nar(1).await, new);
}

pub(super) async fn a_file_goes_with_the_last_path_that_needs_it(backend: Backend) {
    let fixture = backend.fixture().await;
    for (path, at) in [(1, UnixTime(1)), (2, UnixTime(2)), (3, NOW)] {
        let commit = PathCommit { references: vec![], created_at: at, ..fixture.commit(path, path.min(2)) };
        fixture.catalog.commit_path(commit).await.unwrap();
    }
    let census = census(&fixture).await;
    assert_eq!(dead(&census), [1, 2]);
    assert_eq!(census.freed(2), (1, 101));
    tombstone(&fixture, &census).await;
    assert_eq!(sweep(&fixture.catalog, &fixture).await, [1]);
    // Of a path that was healed by another file the old one is left.
    fixture.damage(2).await;
    let commit = PathCommit { references: vec![], created_at: NOW, ..fixture.commit(3, 7) };
    fixture.catalog.commit_path(commit).await.unwrap();
    assert_eq!(sweep(&fixture.catalog, &fixture).await, [2]);
}

pub(super) async fn pins_hold_as_long_as_they_say(backend: Backend) {
    const DAY: i64 = 86_400;
    let fixture = backend.fixture().await;
    for path in 1..=4 {
        push_old(&fixture, path, &[]).await;
    }
    pin(&fixture, 1, Keep::Days(2), UnixTime(NOW.0 - 2 * DAY)).await;
    pin(&fixture, 2, Keep::Days(2), UnixTime(NOW.0 - 2 * DAY + 1)).await;
    pin(&fixture, 3, Keep::Revisions(1), NOW).await;
    let mut found = dead(&census(&fixture).await);
    found.sort_unstable();
    // The newest revision with a number to keep has removed the others.
    assert_eq!(found, [1, 2, 4]);
    pin(&fixture, 2, Keep::Days(2), UnixTime(NOW.0 - 2 * DAY + 1)).await;
    pin(&fixture, 4, Keep::All, UnixTime(1)).await;
    let census = census(&fixture).await;
    let mut found = dead(&census);
    found.sort_unstable();
    assert_eq!(found, [1, 3], "3 was to be held as the newest only");
    assert_eq!(census.pinned(), 2);
    assert_eq!(census.fate(&path_hash(4)).unwrap().held, Held::Pin("held".to_owned()));
    assert_eq!(census.last_use(&path_hash(4)), None);
}

pub(super) async fn circles_live_and_die_at_once(backend: Backend) {
    let fixture = backend.fixture().await;
    push_old(&fixture, 1, &[2]).await;
    push_old(&fixture, 2, &[3, 4]).await;
    push_old(&fixture, 3, &[1]).await;
    push_old(&fixture, 4, &[]).await;
    push(&fixture, 5, &[3], NOW).await;
    assert_eq!(dead(&census(&fixture).await), [0; 0]);
    // Without the one that holds them.
    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    for (path, references) in [(1, vec![2]), (2, vec![3, 4]), (3, vec![1]), (4, vec![])] {
        push_old(&other, path, &references).await;
    }
    let outcome = tombstone(&other, &census(&other).await).await;
    assert_eq!(outcome.tombstoned, [1, 2, 3, 4].map(path_hash));
    assert_eq!(fixture.visible().await.len(), 5, "another cache has the same paths");
}

pub(super) async fn chains_hold_whatever_their_hashes_and_wherever_their_rows(backend: Backend) {
    let fixture = backend.fixture().await;
    let other = Fixture::new(fixture.catalog.clone(), "other").await;
    // Bytes that are no text, and none at all.
    let chain: Vec<u32> = (0..20_u32).map(|number| number.wrapping_mul(0x0d_ef_ff_80)).collect();
    for (number, path) in chain.iter().enumerate() {
        let before = number.checked_sub(1).map(|before| chain[before]);
        push_old(&fixture, *path, before.as_slice()).await;
        // Another cache has rows in between, and references to the same hashes.
        for between in 0..u32::try_from(number % 5).unwrap() {
            push_old(&other, 1_000_000 * between + *path, &[chain[0]]).await;
        }
    }
    let ordered = dead(&census(&fixture).await);
    assert_eq!(ordered, chain.iter().rev().copied().collect::<Vec<_>>());
    fixture.catalog.touch(vec![(fixture.cache, path_hash(chain[12]), CUTOFF)]).await.unwrap();
    let census = census(&fixture).await;
    assert_eq!(dead(&census), ordered[..7]);
    let fate = census.fate(&path_hash(chain[0])).unwrap();
    assert_eq!(fate.chain, chain[..=12].iter().map(|path| path_hash(*path)).collect::<Vec<_>>());
}

pub(super) async fn what_lies_on_a_storage_out_of_use_is_left_alone(backend: Backend) {
    let fixture = backend.fixture().await;
    push_old(&fixture, 1, &[]).await;
    let mut commit = fixture.commit(2, 2);
    commit.nar.storage = fixture.second;
    commit.references = vec![store_path(1)];
    fixture.catalog.commit_path(commit).await.unwrap();
    fixture.declare(&["first"]).await;
    let census = census(&fixture).await;
    assert_eq!(dead(&census), [0; 0]);
    assert_eq!(census.fate(&path_hash(1)).unwrap().held, Held::Storage);
}

pub(super) async fn the_least_recently_used_go_until_the_rest_fits(backend: Backend) {
    let fixture = backend.fixture().await;
    // The files have 101 to 105 bytes.
    for path in 1..=5 {
        let references: &[u32] = if path == 4 { &[1] } else { &[] };
        push(&fixture, path, references, UnixTime(CUTOFF.0 + i64::from(path))).await;
    }
    pin(&fixture, 2, Keep::All, NOW).await;
    let census = census(&fixture).await;
    let first = |count| -> Vec<u32> {
        census.batches(count, 100).flatten().map(|path| number(path.hash.as_bytes())).collect()
    };
    let later = UnixTime(CUTOFF.0 + 5);
    assert_eq!(census.to_size(0, 1000, NOW), 0);
    assert_eq!(first(census.to_size(0, 514, NOW)), [3]);
    assert_eq!(first(census.to_size(0, 400, NOW)), [3, 4]);
    assert_eq!(first(census.to_size(0, 300, NOW)), [3, 4, 1]);
    assert_eq!(first(census.to_size(0, 0, NOW)), [3, 4, 1, 5], "what is pinned stays");
    assert_eq!(first(census.to_size(0, 0, later)), [3, 4, 1], "and so does what was used of late");
    assert_eq!(census.to_size(2, 1000, NOW), 2, "what has to go goes in any case");
}

pub(super) async fn a_path_that_was_healed_since_the_census_is_another_one(backend: Backend) {
    let fixture = backend.fixture().await;
    push_old(&fixture, 1, &[]).await;
    let census = census(&fixture).await;
    fixture.damage(1).await;
    push(&fixture, 1, &[], NOW).await;
    assert_eq!(tombstone(&fixture, &census).await, TombstoneOutcome::default());
    assert!(fixture.path(1).await.id > PathId(0));
}
