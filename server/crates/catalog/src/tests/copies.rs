//! Further copies of files.

use super::support::{Backend, Fixture, path_hash};
use crate::{
    CopyCounts, CopyId, CopyState, CopyToMake, Damage, Deleted, Deletion, NarId, PathCommit, StorageId,
    Survey, Surveyed, UnixTime,
};

const NOW: UnixTime = UnixTime(2_000_000);

impl Fixture {
    /// Commits path `path` as file `file`, of which there are to be two copies.
    async fn create_twice(&self, path: u32, file: u32) -> NarId {
        let commit = PathCommit { references: vec![], copies: 1, ..self.commit(path, file) };
        self.catalog.commit_path(commit).await.unwrap();
        self.nar(file).await.id
    }

    async fn backlog(&self) -> Vec<CopyToMake> {
        self.catalog.copies_to_make(self.cache, None, 100).await.unwrap()
    }

    /// Makes all copies that are wanted, on the second storage.
    async fn make_copies(&self) {
        let wanted: Vec<CopyId> = self.backlog().await.iter().map(|wanted| wanted.copy.id).collect();
        let placed: Vec<_> = wanted.iter().map(|copy| (*copy, self.second)).collect();
        let begun = self.catalog.begin_copies(placed, NOW).await.unwrap();
        assert_eq!(self.catalog.finish_copies(begun.clone(), NOW).await.unwrap(), begun);
    }

    async fn counts(&self) -> CopyCounts {
        self.catalog.copy_counts(self.cache).await.unwrap()
    }

    fn survey(&self, copies: u64, counted: &[StorageId]) -> Survey {
        let readable = vec![self.first, self.second];
        let (durable, fast) = (Vec::new(), Vec::new());
        Survey { cache: self.cache, copies, counted: counted.to_vec(), durable, fast, written: 2, readable }
    }

    /// Surveys all files.
    async fn survey_all(&self, survey: &Survey) -> Surveyed {
        let mut all = Surveyed::default();
        let mut after = None;
        loop {
            let step = self.catalog.survey_copies(survey, after, 2).await.unwrap();
            after = step.last;
            all.wanted += step.wanted;
            all.surplus += step.surplus;
            all.moved += step.moved;
            all.revealed.extend(step.revealed);
            if after.is_none() {
                return all;
            }
        }
    }

    async fn states(&self, nar: NarId) -> Vec<(Option<StorageId>, CopyState)> {
        let copies = self.catalog.copies_of(&[nar]).await.unwrap().remove(&nar).unwrap_or_default();
        copies.into_iter().map(|copy| (copy.storage, copy.state)).collect()
    }
}

pub(super) async fn a_copy_is_wanted_until_it_is_durable(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    assert!(!fixture.catalog.has_copies(fixture.cache).await.unwrap());
    let nar = fixture.create_twice(1, 1).await;
    assert!(fixture.catalog.has_copies(fixture.cache).await.unwrap());
    let [wanted] = fixture.backlog().await.try_into().unwrap();
    assert_eq!((wanted.nar.id, wanted.copy.storage, wanted.sources), (nar, None, vec![fixture.first]));
    let expected = CopyCounts { missing: 1, missing_bytes: 101, exposed: 1, ..CopyCounts::default() };
    assert_eq!(fixture.counts().await, expected);

    // Not where it lies already.
    assert_eq!(fixture.catalog.begin_copies(vec![(wanted.copy.id, fixture.first)], NOW).await.unwrap(), []);
    let begin = || fixture.catalog.begin_copies(vec![(wanted.copy.id, fixture.second)], NOW);
    assert_eq!(begin().await.unwrap(), [wanted.copy.id]);
    assert_eq!(begin().await.unwrap(), [], "one daemon is enough");
    assert!(fixture.backlog().await.is_empty());
    assert_eq!(fixture.catalog.storage_used(fixture.second).await.unwrap(), 0);
    assert_eq!(fixture.catalog.copy_storages(nar).await.unwrap(), []);

    assert_eq!(fixture.catalog.finish_copies(vec![wanted.copy.id], NOW).await.unwrap(), [wanted.copy.id]);
    assert_eq!(fixture.catalog.copy_storages(nar).await.unwrap(), [fixture.second]);
    assert_eq!(fixture.catalog.storage_used(fixture.second).await.unwrap(), 101);
    let expected = CopyCounts { there: 1, there_bytes: 101, ..CopyCounts::default() };
    assert_eq!(fixture.counts().await, expected);
    let files = fixture.catalog.files_on(fixture.second, None, 10).await.unwrap();
    assert_eq!(files.iter().map(|nar| (nar.id, nar.storage)).collect::<Vec<_>>(), [(nar, fixture.second)]);
}

pub(super) async fn a_claim_of_a_daemon_that_died_expires(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    let nar = fixture.create_twice(1, 1).await;
    let wanted = fixture.backlog().await[0].copy.id;
    fixture.catalog.begin_copies(vec![(wanted, fixture.second)], NOW).await.unwrap();
    let later = UnixTime(NOW.0 + 600);
    fixture.catalog.renew_copies(vec![wanted], later).await.unwrap();
    assert_eq!(fixture.catalog.expire_copy_claims(later).await.unwrap(), 0);
    assert_eq!(fixture.catalog.expire_copy_claims(UnixTime(later.0 + 1)).await.unwrap(), 1);
    assert_eq!(fixture.states(nar).await, [(None, CopyState::Wanted)]);
    assert_eq!(fixture.catalog.finish_copies(vec![wanted], NOW).await.unwrap(), [], "it died too early");
    fixture.make_copies().await;
    assert_eq!(fixture.states(nar).await, [(Some(fixture.second), CopyState::There)]);
}

pub(super) async fn damage_is_repaired_from_another_copy(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    let nar = fixture.create_twice(1, 1).await;
    fixture.make_copies().await;
    let damage = fixture.catalog.mark_damaged(nar, fixture.first).await.unwrap();
    assert_eq!(damage, Damage::Saved(vec![path_hash(1)]));
    assert_eq!(fixture.visible().await, [path_hash(1)]);
    assert_eq!(fixture.nar(1).await.storage, fixture.second);
    let [repair] = fixture.backlog().await.try_into().unwrap();
    assert_eq!((repair.copy.state, repair.copy.storage), (CopyState::Damaged, Some(fixture.first)));
    assert_eq!(repair.sources, [fixture.second]);
    // A late report of the same damage.
    let again = fixture.catalog.mark_damaged(nar, fixture.first).await.unwrap();
    assert_eq!(again, Damage::Unconcerned);
    // The last sound one.
    let damage = fixture.catalog.mark_damaged(nar, fixture.second).await.unwrap();
    assert_eq!(damage, Damage::Hidden(vec![path_hash(1)]));
    assert!(fixture.visible().await.is_empty());
    assert_eq!(fixture.catalog.begin_copies(vec![(repair.copy.id, fixture.first)], NOW).await.unwrap(), []);
    // A push brings it back, and the other copy is repaired from that.
    let healed = fixture.create_twice(1, 1).await;
    assert_eq!(fixture.nar(1).await.storage, fixture.first);
    assert_eq!(fixture.states(healed).await, [(None, CopyState::Wanted)]);
    fixture.make_copies().await;
    assert_eq!(
        fixture.catalog.mark_damaged(healed, fixture.second).await.unwrap(),
        Damage::Saved(vec![path_hash(1)])
    );
    assert_eq!(fixture.states(healed).await, [(Some(fixture.second), CopyState::Damaged)]);
    fixture.make_copies().await;
    assert_eq!(fixture.states(healed).await, [(Some(fixture.second), CopyState::There)]);
}

pub(super) async fn a_vanished_storage_hides_nothing_that_has_a_copy(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    let nar = fixture.create_twice(1, 1).await;
    fixture.make_copies().await;
    fixture.create(2, 2).await;
    fixture.declare(&["second"]).await;
    assert_eq!(fixture.visible().await, [path_hash(1)]);
    assert_eq!(fixture.nar(1).await.storage, fixture.second);
    assert_eq!(fixture.states(nar).await, [(Some(fixture.first), CopyState::There)]);
    fixture.declare(&["first", "second"]).await;
    assert_eq!(fixture.visible().await, [path_hash(1), path_hash(2)]);
}

pub(super) async fn a_survey_finds_what_is_missing_and_what_is_too_much(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    for number in 1..=5 {
        fixture.create(number, number).await;
    }
    let both = [fixture.first, fixture.second];
    let two = fixture.survey(2, &both);
    assert_eq!(fixture.survey_all(&two).await, Surveyed { wanted: 5, ..Surveyed::default() });
    assert_eq!(fixture.survey_all(&two).await, Surveyed::default(), "they are wanted already");
    fixture.make_copies().await;
    assert_eq!(fixture.survey_all(&two).await, Surveyed::default());
    assert_eq!(fixture.counts().await.there, 5);

    // A storage that is away does not count, and does not have to be the home.
    let without_first = Survey { readable: vec![fixture.second], ..fixture.survey(2, &[fixture.second]) };
    let away = fixture.survey_all(&without_first).await;
    assert_eq!(away, Surveyed { wanted: 5, moved: 5, ..Surveyed::default() });
    assert_eq!(fixture.nar(1).await.storage, fixture.second);
    // When it is back, the new copies are not needed.
    assert_eq!(fixture.survey_all(&two).await, Surveyed::default());
    assert_eq!(fixture.counts().await.missing, 0);

    // Fewer copies.
    let one = fixture.survey(1, &both);
    assert_eq!(fixture.survey_all(&one).await, Surveyed { surplus: 5, ..Surveyed::default() });
    assert_eq!(fixture.counts().await.leaving, 5);
    let leaving = fixture.catalog.claim_leaving_copies(fixture.first, None, 10, NOW).await.unwrap();
    assert_eq!(leaving.len(), 5);
    fixture.catalog.forget_copies(leaving.iter().map(|copy| copy.id).collect()).await.unwrap();
    assert_eq!(fixture.counts().await, CopyCounts::default());
    assert_eq!(fixture.visible().await.len(), 5);
}

pub(super) async fn copies_go_with_their_file(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    let nar = fixture.create_twice(1, 1).await;
    fixture.make_copies().await;
    let deletion =
        Deletion { cache: fixture.cache, path: path_hash(1), recursive: false, now: NOW, trash: false };
    let deleted = fixture.catalog.delete_path(deletion).await.unwrap();
    assert!(matches!(deleted, Deleted::Done { paths, .. } if paths.len() == 1));
    for storage in [fixture.first, fixture.second] {
        assert_eq!(fixture.catalog.count_tombstones(storage).await.unwrap(), 1);
    }
    let at_home = fixture.catalog.tombstones(fixture.first, None, 10).await.unwrap();
    fixture.catalog.remove_tombstones(at_home.iter().map(|tombstone| tombstone.id).collect()).await.unwrap();
    // The storage with the copy does not answer, which holds up nothing.
    assert_eq!(fixture.catalog.unneeded_of(&[nar]).await.unwrap().len(), 1);
    fixture.catalog.give_up_nars(vec![nar]).await.unwrap();
    assert_eq!(fixture.catalog.forget_nars(vec![nar]).await.unwrap(), [nar]);
    assert_eq!(fixture.counts().await.leaving, 1);
    assert_eq!(fixture.catalog.storage_used(fixture.second).await.unwrap(), 101);
    // The file is pushed again before the storage is back, and lies there then.
    assert!(
        fixture
            .catalog
            .store_over_leaving(fixture.second, crate::tests::support::file_hash(1))
            .await
            .unwrap()
    );
    assert_eq!(fixture.counts().await, CopyCounts::default());
}

pub(super) async fn a_file_that_is_being_removed_is_not_stored_over(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    fixture.create_twice(1, 1).await;
    fixture.make_copies().await;
    let both = [fixture.first, fixture.second];
    fixture.survey_all(&fixture.survey(1, &both)).await;
    let file = crate::tests::support::file_hash(1);
    let [leaving] = fixture
        .catalog
        .claim_leaving_copies(fixture.second, None, 10, NOW)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert!(!fixture.catalog.store_over_leaving(fixture.second, file).await.unwrap());
    fixture.catalog.forget_copies(vec![leaving.id]).await.unwrap();
    assert!(fixture.catalog.store_over_leaving(fixture.second, file).await.unwrap());
}

pub(super) async fn a_copy_that_a_storage_turns_out_to_have_is_adopted(backend: Backend) {
    let fixture = Fixture::new(backend.open().await, "main").await;
    let nar = fixture.create_twice(1, 1).await;
    assert!(!fixture.catalog.adopt_copy(nar, fixture.first, NOW).await.unwrap());
    assert!(fixture.catalog.adopt_copy(nar, fixture.second, NOW).await.unwrap());
    assert!(!fixture.catalog.adopt_copy(nar, fixture.second, NOW).await.unwrap());
    assert_eq!(fixture.states(nar).await, [(Some(fixture.second), CopyState::There)]);
    // A move takes it along, and takes its place where both would lie.
    fixture.catalog.move_nar(nar, fixture.first, fixture.second).await.unwrap();
    let moved = fixture.nar(1).await;
    assert_eq!((moved.storage, fixture.states(moved.id).await), (fixture.second, vec![]));
}
