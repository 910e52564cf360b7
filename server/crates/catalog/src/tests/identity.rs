use super::support::Backend;

pub(super) async fn a_catalog_is_the_same_for_ever(backend: Backend) {
    let catalog = backend.open().await;
    assert_eq!(catalog.find_identity().await.unwrap(), None);
    let identity = catalog.identity().await.unwrap();
    assert_eq!(catalog.identity().await.unwrap(), identity);
    assert_eq!(catalog.find_identity().await.unwrap(), Some(identity));
}

pub(super) async fn server_keys_are_known_in_the_order_of_their_use(backend: Backend) {
    let catalog = backend.open().await;
    for key in ["first", "first", "second", "second", "first"] {
        catalog.note_server_key(key).await.unwrap();
    }
    let known = catalog.server_keys().await.unwrap();
    let fingerprints: Vec<_> = known.iter().map(|key| key.fingerprint.as_str()).collect();
    assert_eq!(fingerprints, ["first", "second", "first"]);
    assert!(known.is_sorted_by_key(|key| key.since));
}
