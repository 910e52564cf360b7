use super::support::{Backend, Fixture, new_nar, path_hash};
use crate::{CommitOutcome, PathCommit, PathId, PublishTicket, UnpublishedPath};

async fn list(fixture: &Fixture) -> Vec<UnpublishedPath> {
    fixture.catalog.unpublished(None, 10).await.unwrap()
}

async fn waiting(fixture: &Fixture) -> Vec<PathId> {
    list(fixture).await.into_iter().map(|unpublished| unpublished.path.id).collect()
}

async fn tickets(fixture: &Fixture) -> Vec<PublishTicket> {
    list(fixture).await.into_iter().map(|unpublished| unpublished.ticket).collect()
}

async fn publish_all(fixture: &Fixture) {
    let tickets = tickets(fixture).await;
    fixture.catalog.mark_published(tickets).await.unwrap();
    assert_eq!(waiting(fixture).await, []);
}

pub(super) async fn a_committed_path_waits_until_it_is_published(backend: Backend) {
    let fixture = backend.fixture().await;
    let first = fixture.create(2, 2).await;
    let second = fixture.create(1, 1).await;
    assert_eq!(waiting(&fixture).await, [first, second]);
    let one = fixture.catalog.unpublished(None, 1).await.unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].cache, fixture.cache);
    assert_eq!(one[0].path.references, fixture.commit(2, 2).references);
    let others = fixture.catalog.unpublished(Some(one[0].ticket), 10).await.unwrap();
    assert_eq!(others.iter().map(|other| other.path.id).collect::<Vec<_>>(), [second]);
    assert_eq!(fixture.catalog.unpublished(Some(others[0].ticket), 10).await.unwrap(), []);

    fixture.catalog.mark_published(vec![one[0].ticket]).await.unwrap();
    assert_eq!(waiting(&fixture).await, [second]);
    fixture.catalog.mark_published(vec![one[0].ticket, others[0].ticket]).await.unwrap();
    assert_eq!(waiting(&fixture).await, []);
}

pub(super) async fn a_healed_path_waits_again_even_if_its_old_self_is_published(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let old = tickets(&fixture).await;
    fixture.damage(1).await;
    let outcome = fixture.catalog.commit_path(fixture.commit(1, 1)).await.unwrap();
    let CommitOutcome::Healed { path, .. } = outcome else {
        panic!("{outcome:?}");
    };
    fixture.catalog.mark_published(old).await.unwrap();
    assert_eq!(waiting(&fixture).await, [path.id]);
}

pub(super) async fn a_hidden_path_does_not_wait(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    let visible = fixture.create(2, 2).await;
    fixture.damage(1).await;
    let unpublished = fixture.catalog.unpublished(None, 1).await.unwrap();
    assert_eq!(unpublished[0].path.id, visible);
    assert_eq!(waiting(&fixture).await, [visible]);
}

pub(super) async fn a_new_signature_makes_a_path_wait_again(backend: Backend) {
    let fixture = backend.fixture().await;
    let path = fixture.create(1, 1).await;
    publish_all(&fixture).await;
    let hash = path_hash(1);
    let add = async |signature: &str| {
        let signatures = vec![signature.to_owned()];
        fixture.catalog.add_signatures(fixture.cache, hash, signatures).await.unwrap()
    };
    assert!(!add("main-1:1").await);
    assert_eq!(waiting(&fixture).await, []);
    assert!(add("other:1").await);
    assert_eq!(waiting(&fixture).await, [path]);

    // Who has read the list before the next one comes has published too little.
    let before = tickets(&fixture).await;
    assert!(add("third:1").await);
    fixture.catalog.mark_published(before).await.unwrap();
    assert_eq!(waiting(&fixture).await, [path]);
}

pub(super) async fn visible_paths_can_be_made_to_wait_again(backend: Backend) {
    let fixture = backend.fixture().await;
    let first = fixture.create(1, 1).await;
    fixture.create(2, 2).await;
    let third = fixture.create(3, 3).await;
    let vanished = PathCommit { nar: new_nar(fixture.second, 4), ..fixture.commit(4, 4) };
    fixture.catalog.commit_path(vanished).await.unwrap();
    publish_all(&fixture).await;
    fixture.damage(2).await;
    fixture.declare(&["first"]).await;

    let hashes: Vec<_> = (0..1200).map(path_hash).collect();
    let mark = async |hashes| fixture.catalog.mark_unpublished(fixture.cache, hashes).await.unwrap();
    assert_eq!(mark(&hashes).await, 2);
    assert_eq!(waiting(&fixture).await, [first, third]);
    let before = tickets(&fixture).await;
    assert_eq!(mark(&hashes[..2]).await, 1);
    assert_eq!(mark(&[]).await, 0);
    fixture.catalog.mark_published(before).await.unwrap();
    assert_eq!(waiting(&fixture).await, [first]);
    // What is hidden does not turn up later either: it was published.
    fixture.declare(&["first", "second"]).await;
    assert_eq!(waiting(&fixture).await, [first]);
}
