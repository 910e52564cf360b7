//! Copies that move between tiers.

use super::support::{Backend, Fixture, path_hash};
use crate::{CopyCounts, CopyState, NarId, Release, Released, StorageId, Survey, UnixTime, UsedFile};

const NOW: UnixTime = UnixTime(2_000_000);

impl Fixture {
    /// Copies a file to a storage, as a promotion does.
    async fn copy_for_readers(&self, nar: NarId, to: StorageId) {
        let claimed = self.catalog.claim_copies(vec![(nar, to)], NOW).await.unwrap();
        let copies: Vec<_> = claimed.iter().map(|wanted| wanted.copy.id).collect();
        assert_eq!(copies.len(), 1);
        assert_eq!(self.catalog.finish_copies(copies.clone(), NOW).await.unwrap(), copies);
    }

    async fn release(&self, nar: NarId, from: StorageId, slower: &[StorageId]) -> Released {
        let release = Release { nar, from, copies: 1, slower: slower.to_vec(), durable: Vec::new() };
        self.catalog.release_copies(vec![release]).await.unwrap().pop().unwrap()
    }

    async fn coldest(&self, storage: StorageId, before: i64) -> Vec<(NarId, i64)> {
        let files = self.catalog.least_recently_used(storage, UnixTime(before), 10).await.unwrap();
        files.into_iter().map(|UsedFile { nar, last_used }| (nar.id, last_used.0)).collect()
    }

    async fn copies_of(&self, nar: NarId) -> Vec<(Option<StorageId>, CopyState)> {
        let copies = self.catalog.copies_of(&[nar]).await.unwrap().remove(&nar).unwrap_or_default();
        copies.into_iter().map(|copy| (copy.storage, copy.state)).collect()
    }
}

pub(super) async fn files_are_found_by_their_last_use_wherever_they_lie(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    for number in 1..=3 {
        fixture.create(number, number).await;
    }
    // A path that shares a file.
    fixture.create(4, 2).await;
    let nars = [fixture.nar(1).await.id, fixture.nar(2).await.id, fixture.nar(3).await.id];
    let uses = [(1, 3_000_000), (2, 3_000_002), (4, 3_000_005), (3, 3_000_003)];
    let uses = uses.map(|(path, at)| (fixture.cache, path_hash(path), UnixTime(at)));
    fixture.catalog.touch(uses.to_vec()).await.unwrap();
    let expected = [(nars[0], 3_000_000), (nars[2], 3_000_003), (nars[1], 3_000_005)];
    assert_eq!(fixture.coldest(fixture.first, 4_000_000).await, expected);
    assert_eq!(fixture.coldest(fixture.first, 3_000_003).await, expected[..1]);
    assert_eq!(fixture.coldest(fixture.second, 4_000_000).await, []);
    fixture.copy_for_readers(nars[1], fixture.second).await;
    assert_eq!(fixture.coldest(fixture.second, 4_000_000).await, expected[2..]);
}

pub(super) async fn a_copy_for_readers_is_missed_by_nobody(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    fixture.create(1, 1).await;
    let nar = fixture.nar(1).await.id;
    let claim = |to| fixture.catalog.claim_copies(vec![(nar, to)], NOW);
    assert_eq!(claim(fixture.first).await.unwrap(), [], "it lies there");
    let claimed = claim(fixture.second).await.unwrap();
    assert_eq!(claimed[0].sources, [fixture.first]);
    assert_eq!(claim(fixture.second).await.unwrap(), [], "one daemon is enough");
    assert_eq!(fixture.catalog.copy_counts(fixture.cache).await.unwrap(), CopyCounts::default());
    // The daemon dies, or fails to make it.
    assert_eq!(fixture.catalog.expire_copy_claims(UnixTime(NOW.0 + 1)).await.unwrap(), 1);
    assert_eq!(fixture.copies_of(nar).await, []);
    assert_eq!(fixture.catalog.finish_copies(vec![claimed[0].copy.id], NOW).await.unwrap(), []);
    let again = claim(fixture.second).await.unwrap();
    fixture.catalog.give_up_copies(vec![again[0].copy.id]).await.unwrap();
    assert_eq!(fixture.copies_of(nar).await, []);
    fixture.copy_for_readers(nar, fixture.second).await;
    assert_eq!(fixture.copies_of(nar).await, [(Some(fixture.second), CopyState::There)]);
}

pub(super) async fn a_fast_copy_is_given_up_only_if_slower_storages_have_the_file(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    fixture.create(1, 1).await;
    let (nar, fast, slow) = (fixture.nar(1).await.id, fixture.first, fixture.second);
    assert_eq!(fixture.release(nar, fast, &[slow]).await, Released::Short);
    let claimed = fixture.catalog.claim_copies(vec![(nar, slow)], NOW).await.unwrap();
    assert_eq!(fixture.release(nar, fast, &[slow]).await, Released::Short, "it is not durable yet");
    fixture.catalog.finish_copies(vec![claimed[0].copy.id], NOW).await.unwrap();
    assert_eq!(fixture.release(nar, fast, &[]).await, Released::Short, "the storage does not answer");
    assert_eq!(fixture.release(nar, fast, &[slow]).await, Released::Leaving(vec![path_hash(1)]));
    assert_eq!(fixture.nar(1).await.storage, slow, "it has another home");
    assert_eq!(fixture.copies_of(nar).await, [(Some(fast), CopyState::Leaving)]);
    assert_eq!(fixture.release(nar, fast, &[slow]).await, Released::Gone);
    assert_eq!(fixture.visible().await, [path_hash(1)]);
    let leaving = fixture.catalog.claim_leaving_copies(fast, None, 10, NOW).await.unwrap();
    fixture.catalog.forget_copies(leaving.iter().map(|copy| copy.id).collect()).await.unwrap();

    // It comes back for readers, stays in a survey, and goes again.
    fixture.copy_for_readers(nar, fast).await;
    let both = vec![fast, slow];
    let survey = Survey {
        cache: fixture.cache,
        copies: 1,
        counted: both.clone(),
        durable: vec![slow],
        fast: vec![fast],
        written: 2,
        readable: both,
    };
    let surveyed = fixture.catalog.survey_copies(&survey, None, 10).await.unwrap();
    assert_eq!((surveyed.wanted, surveyed.surplus, surveyed.moved), (0, 0, 0));
    assert_eq!(fixture.release(nar, fast, &[slow]).await, Released::Leaving(vec![path_hash(1)]));
    assert_eq!(fixture.nar(1).await.storage, slow);
    assert_eq!(fixture.copies_of(nar).await, [(Some(fast), CopyState::Leaving)]);
}
