use super::support::{Backend, Fixture};
use crate::{CommitOutcome, PathId};

async fn waiting(fixture: &Fixture) -> Vec<PathId> {
    let unpublished = fixture.catalog.unpublished(10).await.unwrap();
    unpublished.into_iter().map(|(_, path)| path.id).collect()
}

pub(super) async fn a_committed_path_waits_until_it_is_published(backend: Backend) {
    let fixture = backend.fixture().await;
    let first = fixture.create(2, 2).await;
    let second = fixture.create(1, 1).await;
    assert_eq!(waiting(&fixture).await, [first, second]);
    let one = fixture.catalog.unpublished(1).await.unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].0, fixture.cache);
    assert_eq!(one[0].1.references, fixture.commit(2, 2).references);

    fixture.catalog.mark_published(vec![first]).await.unwrap();
    assert_eq!(waiting(&fixture).await, [second]);
    fixture.catalog.mark_published(vec![first, second]).await.unwrap();
    assert_eq!(waiting(&fixture).await, []);
}

pub(super) async fn a_healed_path_waits_again_even_if_its_old_self_is_published(backend: Backend) {
    let fixture = backend.fixture().await;
    let old = fixture.create(1, 1).await;
    fixture.damage(1).await;
    let outcome = fixture.catalog.commit_path(fixture.commit(1, 1)).await.unwrap();
    let CommitOutcome::Healed { path, .. } = outcome else {
        panic!("{outcome:?}");
    };
    fixture.catalog.mark_published(vec![old]).await.unwrap();
    assert_eq!(waiting(&fixture).await, [path]);
}

pub(super) async fn a_hidden_path_does_not_wait(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let visible = fixture.create(2, 2).await;
    fixture.damage(1).await;
    let unpublished = fixture.catalog.unpublished(1).await.unwrap();
    assert_eq!(unpublished[0].1.id, visible);
    assert_eq!(waiting(&fixture).await, [visible]);
}

pub(super) async fn a_new_signature_makes_a_path_wait_again(backend: Backend) {
    let fixture = backend.fixture().await;
    let path = fixture.create(1, 1).await;
    fixture.catalog.mark_published(vec![path]).await.unwrap();
    let hash = super::support::path_hash(1);
    let add = async |signature: &str| {
        let signatures = vec![signature.to_owned()];
        fixture.catalog.add_signatures(fixture.cache, hash, signatures).await.unwrap()
    };
    assert!(!add("main-1:1").await);
    assert_eq!(waiting(&fixture).await, []);
    assert!(add("other:1").await);
    assert_eq!(waiting(&fixture).await, [path]);
}
