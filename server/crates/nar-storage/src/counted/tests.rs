//! What is counted, and what is not.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::{LocalStorage, ReadCache};

#[tokio::test]
async fn by_products_count_with_their_current_size() {
    let directory = tempfile::tempdir().unwrap();
    let local = LocalStorage::new("disk1", directory.path().join("pub"), &ReadCache::new(1));
    local.prepare().await.unwrap();
    let bytes = Arc::new(AtomicI64::new(0));
    let sum = bytes.clone();
    let counted = Counted::new(Arc::new(local), true, move |change| {
        sum.fetch_add(change, Ordering::Relaxed);
    });
    let key = |text: &str| Key::new(text).unwrap();
    let put = async |name: &str, len: usize| {
        counted.put_bytes(&key(name), vec![b'x'; len].into(), Durability::Now).await.unwrap();
        bytes.load(Ordering::Relaxed)
    };
    let hash = "0".repeat(32);
    assert_eq!(put("log/a.drv", 100).await, 100);
    assert_eq!(put("log/a.drv", 40).await, 40, "the old one is gone");
    assert_eq!(put(&format!("{hash}.ls"), 7).await, 47);
    assert_eq!(put(&format!("{hash}.narinfo"), 500).await, 47);
    assert_eq!(put("nix-cache-info", 500).await, 47);
    assert_eq!(put("nar/x.nar", 500).await, 47);
    let spooled = counted.spool_dir().join("debug");
    std::fs::write(&spooled, "link").unwrap();
    counted.put_file(&key("debuginfo/x.debug"), &spooled, Durability::Now).await.unwrap();
    assert_eq!(bytes.load(Ordering::Relaxed), 51);
    for name in ["log/a.drv", "log/a.drv", "nar/x.nar", "debuginfo/x.debug"] {
        counted.delete(&key(name)).await.unwrap();
    }
    assert_eq!(bytes.load(Ordering::Relaxed), 7);
}
