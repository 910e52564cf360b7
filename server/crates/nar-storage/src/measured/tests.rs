//! What is measured, and as what.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::{LocalStorage, ReadCache};

#[tokio::test]
async fn operations_are_counted_and_a_missing_object_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let local = LocalStorage::new("disk1", directory.path().join("pub"), &ReadCache::new(1));
    local.prepare().await.unwrap();
    let meter = Arc::new(StorageMeter::default());
    let storage = MeasuredStorage::new(Arc::new(local), meter.clone());
    let key = Key::new("log/a.drv").unwrap();
    assert!(storage.open(&key, None, None).await.is_err());
    storage.put_bytes(&key, "log".into(), Durability::Now).await.unwrap();
    storage.open(&key, Some(3), None).await.unwrap();
    assert!(storage.open(&key, Some(4), None).await.is_err(), "it is damaged");
    let figures = |operation| {
        let meter: &OperationMeter = meter.of(operation);
        (meter.ended.get(), meter.failed.get(), meter.durations.read().count())
    };
    assert_eq!(figures(Measured::Put), (1, 0, 1));
    assert_eq!(figures(Measured::Open), (3, 1, 3));
    assert_eq!(figures(Measured::Delete), (0, 0, 0));
    assert!(storage.list("").next().await.unwrap().is_ok());
    assert_eq!(figures(Measured::List), (1, 0, 0));
}
