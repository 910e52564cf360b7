use super::support::{Backend, Fixture};
use crate::{CatalogError, CommitOutcome, KeyOrigin, RegisterKey, SharedKey};

const NAME: &str = "main.example.org-1";
const SERVER: [u8; 32] = [1; 32];
const CLIENT: [u8; 32] = [2; 32];
const OTHER: [u8; 32] = [3; 32];

pub(super) async fn a_server_key_is_added_once(backend: Backend) {
    let fixture = backend.fixture().await;
    let add = || fixture.catalog.add_server_key(fixture.cache, NAME, SERVER);
    let key = add().await.unwrap();
    assert_eq!(key.origin, KeyOrigin::Server);
    assert_eq!(key.public_key, SERVER);
    assert_eq!(add().await.unwrap(), key);
    let keys = fixture.catalog.signing_keys(fixture.cache).await.unwrap();
    assert_eq!(keys, [key]);
}

pub(super) async fn two_keys_never_share_a_name(backend: Backend) {
    let fixture = backend.fixture().await;
    let add = |key| fixture.catalog.add_server_key(fixture.cache, NAME, key);
    add(SERVER).await.unwrap();
    let error = add(OTHER).await.unwrap_err();
    assert!(matches!(error, CatalogError::KeyNameTaken { .. }), "{error}");
    let second = fixture.catalog.add_server_key(fixture.cache, "main.example.org-2", OTHER).await;
    second.unwrap();
}

pub(super) async fn a_client_key_takes_over_an_empty_cache(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    catalog.add_server_key(fixture.cache, NAME, SERVER).await.unwrap();
    catalog.add_server_key(fixture.cache, "main.example.org-2", OTHER).await.unwrap();
    let register = || catalog.register_client_key(fixture.cache, NAME, CLIENT);
    assert_eq!(register().await.unwrap(), RegisterKey::Registered);
    assert_eq!(register().await.unwrap(), RegisterKey::AlreadyRegistered);

    let keys = catalog.signing_keys(fixture.cache).await.unwrap();
    let published: Vec<_> = keys.iter().filter(|key| key.retired_at.is_none()).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].name, NAME);
    assert_eq!(published[0].public_key, CLIENT);
    assert_eq!(published[0].origin, KeyOrigin::Client);
}

pub(super) async fn a_client_key_is_refused_once_there_are_paths(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 1).await;
    fixture.create(2, 2).await;
    fixture.damage(2).await;
    let outcome = fixture.catalog.register_client_key(fixture.cache, NAME, CLIENT).await;
    assert_eq!(outcome.unwrap(), RegisterKey::CacheNotEmpty { paths: 2 });
    assert!(fixture.catalog.signing_keys(fixture.cache).await.unwrap().is_empty());
}

pub(super) async fn only_one_client_key_is_accepted(backend: Backend) {
    let fixture = backend.fixture().await;
    let register = |key| fixture.catalog.register_client_key(fixture.cache, NAME, key);
    assert_eq!(register(CLIENT).await.unwrap(), RegisterKey::Registered);
    assert_eq!(register(OTHER).await.unwrap(), RegisterKey::OtherClientKey);
    fixture.create(1, 1).await;
    assert_eq!(register(CLIENT).await.unwrap(), RegisterKey::AlreadyRegistered);
}

pub(super) async fn a_retired_server_key_stays_retired(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let add = |key| catalog.add_server_key(fixture.cache, NAME, key);
    add(SERVER).await.unwrap();
    catalog.register_client_key(fixture.cache, NAME, CLIENT).await.unwrap();
    assert!(add(SERVER).await.unwrap().retired_at.is_some());
    assert!(add(OTHER).await.is_err());
}

pub(super) async fn registering_and_committing_at_once_never_both_succeed(backend: Backend) {
    for round in 0..16 {
        let fixture = super::support::Fixture::new(backend.open().await, &format!("c{round}")).await;
        let register = fixture.catalog.register_client_key(fixture.cache, NAME, CLIENT);
        let commit = fixture.catalog.commit_path(fixture.commit(1, 1));
        let (registered, committed) = if round % 2 == 0 {
            tokio::join!(register, commit)
        } else {
            let (committed, registered) = tokio::join!(commit, register);
            (registered, committed)
        };
        assert!(matches!(committed.unwrap(), CommitOutcome::Created { .. }));
        let expected =
            if round % 2 == 0 { RegisterKey::Registered } else { RegisterKey::CacheNotEmpty { paths: 1 } };
        assert_eq!(registered.unwrap(), expected);
    }
}

pub(super) async fn a_shared_key_is_the_first_that_was_offered(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let share = |key, sealed: &[u8]| catalog.share_server_key(fixture.cache, NAME, key, sealed.to_vec());
    let first = SharedKey { public_key: SERVER, sealed: Some(b"secret".to_vec()) };
    assert_eq!(share(SERVER, b"secret").await.unwrap(), first);
    assert_eq!(share(OTHER, b"other").await.unwrap(), first);
    let keys = catalog.signing_keys(fixture.cache).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].sealed.as_deref(), Some(&b"secret"[..]));
    assert_eq!(catalog.add_server_key(fixture.cache, NAME, SERVER).await.unwrap(), keys[0]);
    // It is not shown by accident.
    for text in [format!("{keys:?}"), format!("{first:?}")] {
        assert!(!text.contains("sealed") && !text.contains("115, 101, 99, 114"), "{text}");
    }

    // One that nobody shared.
    let other = "main.example.org-2";
    catalog.add_server_key(fixture.cache, other, OTHER).await.unwrap();
    let shared = catalog.share_server_key(fixture.cache, other, SERVER, vec![1]).await.unwrap();
    assert_eq!(shared, SharedKey { public_key: OTHER, sealed: None });
}

pub(super) async fn a_shared_key_can_be_sealed_anew(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    catalog.add_server_key(fixture.cache, NAME, SERVER).await.unwrap();
    let sealed = async || catalog.signing_keys(fixture.cache).await.unwrap()[0].sealed.clone();
    for text in [vec![1], vec![2]] {
        catalog.reseal_server_key(fixture.cache, NAME, SERVER, text.clone()).await.unwrap();
        assert_eq!(sealed().await, Some(text));
    }
    // Of another key than the one published nothing is kept.
    catalog.reseal_server_key(fixture.cache, NAME, OTHER, vec![3]).await.unwrap();
    catalog.reseal_server_key(fixture.cache, "other", SERVER, vec![3]).await.unwrap();
    assert_eq!(sealed().await, Some(vec![2]));
}

pub(super) async fn a_name_that_was_used_otherwise_is_not_shared(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    catalog.add_server_key(fixture.cache, "retired", SERVER).await.unwrap();
    catalog.register_client_key(fixture.cache, NAME, CLIENT).await.unwrap();
    for name in ["retired", NAME] {
        let error = catalog.share_server_key(fixture.cache, name, SERVER, vec![1]).await.unwrap_err();
        assert!(matches!(error, CatalogError::KeyNameTaken { .. }), "{error}");
    }
}

pub(super) async fn a_key_is_added_and_retired_once(backend: Backend) {
    let fixture = backend.fixture().await;
    let (catalog, cache) = (&fixture.catalog, fixture.cache);
    catalog.add_server_key(cache, "main-1", [1; 32]).await.unwrap();
    let added = catalog.add_key(cache, "main-2", [2; 32], KeyOrigin::Given).await.unwrap();
    assert!(added.is_added() && added.retired_at.is_none());
    let again = catalog.add_key(cache, "main-2", [3; 32], KeyOrigin::Added).await;
    assert!(matches!(again, Err(CatalogError::KeyNameTaken { .. })), "{again:?}");
    let retired = catalog.retire_key(cache, added.id).await.unwrap().unwrap();
    assert!(retired.retired_at.is_some());
    assert_eq!(catalog.retire_key(cache, added.id).await.unwrap(), None);
    assert_eq!(catalog.signing_keys(cache).await.unwrap()[1], retired);
    // Nor is its name used again.
    assert!(catalog.add_key(cache, "main-2", [2; 32], KeyOrigin::Added).await.is_err());
    let other = Fixture::new(catalog.clone(), "other").await;
    assert_eq!(catalog.retire_key(other.cache, 1).await.unwrap(), None, "it belongs to another cache");
}
