use super::support::{Backend, path_hash};
use crate::{Deletion, Generation, UnixTime};

pub(super) async fn generations_count_up_for_each_storage(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    assert_eq!(catalog.generation(fixture.first).await.unwrap(), Generation::default());
    let both = vec![fixture.first, fixture.second];
    assert_eq!(catalog.advance_generations(both.clone()).await.unwrap(), [1, 1]);
    assert_eq!(catalog.advance_generations(vec![fixture.second]).await.unwrap(), [2]);
    assert_eq!(catalog.advance_generations(both).await.unwrap(), [2, 3]);
    assert_eq!(catalog.generation(fixture.second).await.unwrap().number, 3);
}

pub(super) async fn a_storage_is_to_be_rebuilt_until_that_is_finished(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    assert!(catalog.storages_to_rebuild().await.unwrap().is_empty());
    catalog.begin_rebuild(fixture.first, 17).await.unwrap();
    catalog.begin_rebuild(fixture.first, 3).await.unwrap();
    assert_eq!(catalog.storages_to_rebuild().await.unwrap(), [fixture.first]);
    assert_eq!(catalog.generation(fixture.first).await.unwrap(), Generation { number: 17, rebuild: true });
    assert_eq!(catalog.advance_generations(vec![fixture.first]).await.unwrap(), [18]);
    assert!(catalog.generation(fixture.first).await.unwrap().rebuild);
    catalog.finish_rebuild(fixture.first).await.unwrap();
    assert_eq!(catalog.generation(fixture.first).await.unwrap(), Generation { number: 18, rebuild: false });
    assert!(catalog.storages_to_rebuild().await.unwrap().is_empty());
}

pub(super) async fn removed_paths_are_known_by_their_tombstones(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in [1, 2] {
        let mut commit = fixture.commit(number, number);
        commit.references.clear();
        fixture.catalog.commit_path(commit).await.unwrap();
    }
    let now = UnixTime(2_000_000);
    let deletion = Deletion { cache: fixture.cache, path: path_hash(1), recursive: false, trash: false, now };
    fixture.catalog.delete_path(deletion).await.unwrap();
    let asked: Vec<_> = [1, 2, 3].map(path_hash).to_vec();
    assert_eq!(fixture.catalog.tombstoned(fixture.cache, &asked).await.unwrap(), [path_hash(1)]);
}
