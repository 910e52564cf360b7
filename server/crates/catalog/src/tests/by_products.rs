use super::support::Backend;

pub(super) async fn by_products_are_added_up_for_each_storage(backend: Backend) {
    let fixture = backend.fixture().await;
    let (catalog, first, second) = (&fixture.catalog, fixture.first, fixture.second);
    assert_eq!(catalog.by_product_bytes(first).await.unwrap(), 0);
    assert_eq!(catalog.add_by_product_bytes(vec![(first, 500), (second, 7)]).await.unwrap(), [500, 7]);
    assert_eq!(catalog.add_by_product_bytes(vec![(first, -200), (second, 1)]).await.unwrap(), [300, 8]);
    assert_eq!(catalog.by_product_bytes(first).await.unwrap(), 300);
    // More goes than had been counted: a crash has lost what came.
    assert_eq!(catalog.add_by_product_bytes(vec![(second, -1_000)]).await.unwrap(), [0]);
    catalog.set_by_product_bytes(second, 12).await.unwrap();
    assert_eq!(catalog.by_product_bytes(second).await.unwrap(), 12);
    assert_eq!(catalog.by_product_bytes(first).await.unwrap(), 300);
}
