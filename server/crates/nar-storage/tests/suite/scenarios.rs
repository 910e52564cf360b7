//! What every backend does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use nar_storage::{BlobBody, Durability, KEPT, Key, Storage, StorageError};

use crate::backend::Backend;

/// Sizes around which backends change their ways.
const SIZES: [usize; 8] =
    [0, 1, 64 << 10, (64 << 10) + 1, 256 << 10, (256 << 10) + 1, (1 << 20) + 7, 9 << 20];
/// Large enough for a stream of many pieces.
const LARGE: usize = 8 << 20;

pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Bytes that differ from place to place and from seed to seed.
pub fn content(len: usize, seed: u32) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

pub fn spool(storage: &dyn Storage, name: &str, bytes: &[u8]) -> PathBuf {
    let path = storage.spool_dir().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

pub async fn put(storage: &dyn Storage, key: &Key, bytes: &Bytes) {
    storage.put_bytes(key, bytes.clone(), Durability::Now).await.unwrap();
}

pub async fn get(storage: &dyn Storage, key: &Key) -> Result<Bytes, StorageError> {
    Ok(storage.open(key, None, None).await?.into_bytes().await.unwrap())
}

/// Reads an object the way code on a blocking thread does.
pub async fn read_blocking(storage: &Arc<dyn Storage>, key: &Key) -> Result<Vec<u8>, StorageError> {
    let (storage, key) = (storage.clone(), key.clone());
    let read = move || {
        let mut all = Vec::new();
        storage.open_blocking(&key)?.read_to_end(&mut all).unwrap();
        Ok(all)
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Names of the files in the spool.
pub fn spooled(storage: &dyn Storage) -> Vec<String> {
    let names = fs::read_dir(storage.spool_dir()).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

pub async fn list(storage: &dyn Storage, prefix: &str) -> BTreeMap<String, u64> {
    let listed: Vec<_> = storage.list(prefix).try_collect().await.unwrap();
    let len = listed.len();
    let listed: BTreeMap<_, _> = listed.into_iter().map(|(key, size)| (key.to_string(), size)).collect();
    assert_eq!(listed.len(), len, "something is listed twice");
    listed
}

pub async fn what_was_put_is_read_back(backend: &mut impl Backend) {
    let shared = backend.storage();
    let storage = shared.as_ref();
    for (number, size) in (0..).zip(SIZES) {
        let (from_file, from_bytes) = (key(&format!("nar/{size}.nar")), key(&format!("{size}.narinfo")));
        let content = content(size, number);
        let file = spool(storage, "upload", &content);
        storage.put_file(&from_file, &file, Durability::Now).await.unwrap();
        assert!(!file.exists());
        put(storage, &from_bytes, &content).await;
        for key in [from_file, from_bytes] {
            // Once cold, once hot.
            for _ in 0..2 {
                let blob = storage.open(&key, Some(size as u64), None).await.unwrap();
                assert_eq!(
                    (blob.total_size, blob.range.clone(), blob.len()),
                    (size as u64, 0..size as u64, size as u64)
                );
                assert!(blob.into_bytes().await.unwrap() == content, "{key}");
            }
            assert_eq!(storage.head(&key).await.unwrap(), Some(size as u64));
            assert!(read_blocking(shared, &key).await.unwrap() == content, "{key}");
        }
    }
    assert!(spooled(storage).is_empty());
}

pub async fn what_was_put_later_is_visible_at_once_and_can_be_synced(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let deep = key("build-trace-v2/x.drv/out.doi");
    let file = spool(storage, "upload", b"file");
    storage.put_file(&deep, &file, Durability::Later).await.unwrap();
    assert_eq!(get(storage, &deep).await.unwrap(), "file");
    // As many as a flush of many completes has.
    let keys: Vec<_> = (0..100).map(|number| key(&format!("{number}.narinfo"))).collect();
    for key in &keys {
        storage.put_bytes(key, Bytes::from_static(b"bytes"), Durability::Later).await.unwrap();
        assert_eq!(get(storage, key).await.unwrap(), "bytes");
    }
    storage.sync(&[deep, keys[0].clone()]).await.unwrap();
    storage.sync(&keys).await.unwrap();
}

pub async fn syncing_what_is_not_there_is_no_error(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    storage.sync(&[]).await.unwrap();
    let key = key("log/never-existed.drv");
    storage.sync(std::slice::from_ref(&key)).await.unwrap();
    // A directory that did not exist then is one that has to be synced now.
    put(storage, &key, &Bytes::from_static(b"log")).await;
    assert!(storage.delete(&key).await.unwrap());
    storage.sync(&[key]).await.unwrap();
}

pub async fn objects_may_have_any_name_that_is_a_key(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let graphic: String = (b'!'..=b'~').map(char::from).filter(|char| !"./".contains(*char)).collect();
    let keys = [
        "realisations/sha256:0123!out.doi".to_owned(),
        "log/a+b=c?d.drv".to_owned(),
        "nar/%2e%2F+ .nar".replace(' ', "%20"),
        format!("log/{graphic}/{graphic}..{graphic}"),
        format!("{}/{}", "a".repeat(255), "b".repeat(255)),
    ];
    for (size, text) in (1..).zip(&keys) {
        put(storage, &key(text), &content(size, 1)).await;
    }
    let all: BTreeMap<_, _> = keys.iter().cloned().zip(1..).collect();
    assert_eq!(list(storage, "").await, all);
    for (text, size) in &all {
        let key = key(text);
        assert_eq!(storage.head(&key).await.unwrap(), Some(*size));
        assert_eq!(get(storage, &key).await.unwrap().len() as u64, *size);
        assert_eq!(list(storage, text).await.len(), 1);
        assert!(storage.delete(&key).await.unwrap());
    }
    assert!(list(storage, "").await.is_empty());
}

pub async fn any_range_can_be_read(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let content = content(LARGE, 1);
    let key = key("nar/x.nar");
    put(storage, &key, &content).await;
    let chunk = 256 << 10;
    for range in
        [0..0, 0..1, 5..5, 7..chunk + 7, 1..chunk + 2, chunk..LARGE, 0..LARGE, LARGE - 1..LARGE, LARGE..LARGE]
    {
        let wanted = range.start as u64..range.end as u64;
        let blob = storage.open(&key, Some(LARGE as u64), Some(wanted.clone())).await.unwrap();
        assert_eq!((blob.total_size, &blob.range, blob.len()), (LARGE as u64, &wanted, range.len() as u64));
        assert!(blob.into_bytes().await.unwrap() == content[range.clone()], "{range:?}");
    }
}

pub async fn a_range_beyond_the_object_is_refused(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let key = key("nar/x.nar");
    put(storage, &key, &content(10, 1)).await;
    #[allow(clippy::reversed_empty_ranges)]
    for range in [0..11, 10..11, 11..11, 0..u64::MAX, 5..4] {
        let error = storage.open(&key, Some(10), Some(range.clone())).await.unwrap_err();
        assert!(matches!(error, StorageError::InvalidRange { size: 10, .. }), "{range:?}: {error}");
    }
}

pub async fn a_put_replaces_what_is_there(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let key = key("nar/x.nar");
    for (seed, size) in [(1, 1000), (2, 1000), (3, LARGE), (4, 0)] {
        let content = content(size, seed);
        put(storage, &key, &content).await;
        assert!(get(storage, &key).await.unwrap() == content);
    }
    assert_eq!(list(storage, "").await.len(), 1);
}

pub async fn a_reader_finishes_what_it_has_begun(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let (old, new) = (content(LARGE, 1), content(LARGE, 2));
    let key = key("nar/x.nar");
    put(storage, &key, &old).await;
    let before_replacement = storage.open(&key, None, None).await.unwrap();
    put(storage, &key, &new).await;
    let before_deletion = storage.open(&key, None, None).await.unwrap();
    assert!(storage.delete(&key).await.unwrap());
    assert!(before_replacement.into_bytes().await.unwrap() == old);
    assert!(before_deletion.into_bytes().await.unwrap() == new);
}

pub async fn concurrent_puts_of_one_key_leave_one_of_them_whole(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let key = key("log/x.drv");
    let contents: Vec<_> = (0..16).map(|seed| content(300_000, seed)).collect();
    let puts = (0..).zip(&contents).map(|(number, content)| {
        let key = &key;
        async move {
            if number % 2 == 0 {
                put(storage, key, content).await;
            } else {
                let file = spool(storage, &format!("upload-{number}"), content);
                storage.put_file(key, &file, Durability::Now).await.unwrap();
            }
            assert_eq!(get(storage, key).await.unwrap().len(), 300_000);
        }
    });
    futures_util::future::join_all(puts).await;
    assert!(contents.contains(&get(storage, &key).await.unwrap()));
    assert_eq!(list(storage, "").await.len(), 1);
    assert!(spooled(storage).is_empty());
}

pub async fn an_object_can_be_deleted_twice(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let key = key("nar/x.nar");
    put(storage, &key, &content(10, 1)).await;
    get(storage, &key).await.unwrap();
    assert!(storage.delete(&key).await.unwrap());
    assert!(!storage.delete(&key).await.unwrap());
    assert!(get(storage, &key).await.unwrap_err().is_not_found());
}

pub async fn what_is_not_there_is_not_found(backend: &mut impl Backend) {
    let shared = backend.storage();
    let storage = shared.as_ref();
    put(storage, &key("nar/x.nar"), &content(10, 1)).await;
    // In a directory that is there, in one that is not, and a directory itself.
    for key in ["nar/y.nar", "log/x.drv", "nar"].map(key) {
        let error = storage.open(&key, Some(10), None).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains(key.as_str()), "{error}");
        assert_eq!(storage.head(&key).await.unwrap(), None);
    }
    for key in ["nar/y.nar", "log/x.drv"].map(key) {
        assert!(!storage.delete(&key).await.unwrap());
        assert!(read_blocking(shared, &key).await.unwrap_err().is_not_found());
    }
}

pub async fn only_objects_with_the_prefix_are_listed(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    assert!(list(storage, "").await.is_empty());
    spool(storage, "an-upload", b"bytes");
    let keys = [
        "nix-cache-info",
        "a.narinfo",
        "ab.narinfo",
        "nar/a.nar",
        "nar/ab.nar",
        "build-trace-v2/x.drv/out.doi",
    ];
    for (size, text) in keys.into_iter().enumerate() {
        put(storage, &key(text), &content(size, 1)).await;
    }
    let all: BTreeMap<_, _> = (0..).zip(keys).map(|(size, key)| (key.to_owned(), size)).collect();
    assert_eq!(list(storage, "").await, all);
    for prefix in
        ["a", "ab", "nar/", "nar/a", "nar/ab.", "na", "n", "build-trace-v2/x", "build-trace-v2/x.drv/out.doi"]
    {
        let mut expected = all.clone();
        expected.retain(|key, _| key.starts_with(prefix));
        assert!(!expected.is_empty());
        assert_eq!(list(storage, prefix).await, expected, "{prefix}");
    }
    for prefix in
        ["x", "nar/x", "log/", "nar/a.nar/", "/", "/nar/", "nar//", "..", "../", "nar/../", ".", ".spool/"]
    {
        assert!(list(storage, prefix).await.is_empty(), "{prefix}");
    }
}

pub async fn more_objects_than_fit_a_batch_are_listed_once_each(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    for number in 0..1100 {
        let key = key(&format!("nar/{number}.nar"));
        storage.put_bytes(&key, Bytes::new(), Durability::Later).await.unwrap();
    }
    assert_eq!(list(storage, "nar/").await.len(), 1100);
    // Whoever has seen enough just goes away.
    assert_eq!(storage.list("").take(3).count().await, 3);
}

pub async fn an_unexpected_size_is_noticed_before_any_byte(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    for size in [0, 10, LARGE] {
        let key = key(&format!("nar/{size}.nar"));
        put(storage, &key, &content(size, 1)).await;
        let expected = size as u64 + 1;
        let error = storage.open(&key, Some(expected), Some(0..0)).await.unwrap_err();
        assert!(error.is_lost());
        assert!(
            matches!(error, StorageError::SizeMismatch { expected: e, actual, .. } if (e, actual) == (expected, size as u64)),
            "{error}",
        );
    }
}

pub async fn a_truncated_object_never_passes_for_a_whole_one(backend: &mut impl Backend) {
    for size in [1000, LARGE] {
        let storage = backend.storage().as_ref();
        let key = key(&format!("nar/{size}.nar"));
        put(storage, &key, &content(size, 1)).await;
        get(storage, &key).await.unwrap();
        backend.truncate(&key, size as u64 / 2).await;
        let error = storage.open(&key, Some(size as u64), None).await.unwrap_err();
        assert!(matches!(error, StorageError::SizeMismatch { .. }), "{error}");
        assert_eq!(storage.head(&key).await.unwrap(), Some(size as u64 / 2));
        // Pushing it again heals it.
        put(storage, &key, &content(size, 2)).await;
        assert!(storage.open(&key, Some(size as u64), None).await.is_ok());
    }
}

pub async fn an_object_that_shrinks_while_it_is_read_ends_in_an_error(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let key = key("nar/x.nar");
    put(storage, &key, &content(LARGE, 1)).await;
    let blob = storage.open(&key, Some(LARGE as u64), None).await.unwrap();
    let BlobBody::Stream(mut pieces) = blob.into_body() else { panic!("not a stream") };
    let first = pieces.next().await.unwrap().unwrap().len();
    backend.truncate(&key, LARGE as u64 / 2).await;
    let mut read = first;
    let error = loop {
        match pieces.next().await.expect("it ended as if it were whole") {
            Ok(piece) => read += piece.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(read, LARGE / 2);
    assert!(pieces.next().await.is_none());
}

pub async fn a_hot_object_deleted_behind_our_back_is_not_found(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    for size in [1000, LARGE] {
        let key = key(&format!("nar/{size}.nar"));
        put(storage, &key, &content(size, 1)).await;
        get(storage, &key).await.unwrap();
        backend.remove(&key).await;
        assert!(storage.open(&key, Some(size as u64), None).await.unwrap_err().is_not_found());
        assert!(storage.open(&key, None, None).await.unwrap_err().is_not_found());
        assert_eq!(storage.head(&key).await.unwrap(), None);
        assert!(!storage.delete(&key).await.unwrap());
    }
}

pub async fn a_hot_object_replaced_behind_our_back_is_read_anew(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let key = key("nar/x.nar");
    for (seed, size) in [(1, 1000), (2, 1000), (3, 2000), (4, LARGE), (5, LARGE)] {
        put(storage, &key, &content(size, seed)).await;
        get(storage, &key).await.unwrap();
        let new = content(size, seed + 100);
        backend.replace(&key, &new).await;
        let blob = storage.open(&key, Some(size as u64), None).await.unwrap();
        assert!(blob.into_bytes().await.unwrap() == new);
    }
}

pub async fn a_failed_put_leaves_nothing_behind_but_the_spooled_file(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    put(storage, &key("log/x"), &content(10, 1)).await;
    // Below an object.
    let impossible = key("log/x/y");
    let file = spool(storage, "upload", b"bytes");
    storage.put_file(&impossible, &file, Durability::Now).await.unwrap_err();
    assert!(file.exists());
    fs::remove_file(file).unwrap();
    storage.put_bytes(&impossible, Bytes::from_static(b"bytes"), Durability::Now).await.unwrap_err();
    assert!(spooled(storage).is_empty());
    assert_eq!(list(storage, "").await.len(), 1);
}

pub async fn a_file_that_is_not_in_the_spool_is_not_an_object_that_is_missing(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    let absent = storage.spool_dir().join("absent");
    let error = storage.put_file(&key("nar/x.nar"), &absent, Durability::Now).await.unwrap_err();
    assert!(!error.is_not_found(), "{error}");
    assert!(list(storage, "").await.is_empty());
}

pub async fn left_overs_of_a_crash_are_removed_from_the_spool(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    put(storage, &key("nar/x.nar"), &content(10, 1)).await;
    spool(storage, "upload", b"bytes");
    spool(storage, ".put-17", b"bytes");
    fs::create_dir(storage.spool_dir().join("parts")).unwrap();
    spool(storage, "parts/1", b"bytes");
    fs::create_dir(storage.spool_dir().join("waiting")).unwrap();
    spool(storage, "waiting/bytes", b"bytes");
    spool(storage, &format!("waiting/{KEPT}"), b"");
    // Once prepared, a storage keeps what is in its spool: uploads are on their way.
    storage.prepare().await.unwrap();
    storage.probe().await.unwrap();
    assert_eq!(spooled(storage).len(), 4);
    backend.restarted().await;
    let storage = backend.storage().as_ref();
    assert_eq!(spooled(storage), ["waiting"]);
    assert_eq!(fs::read_dir(storage.spool_dir().join("waiting")).unwrap().count(), 2);
    assert_eq!(get(storage, &key("nar/x.nar")).await.unwrap(), content(10, 1));
}

pub async fn a_working_storage_passes_its_probe_and_knows_its_space(backend: &mut impl Backend) {
    let storage = backend.storage().as_ref();
    storage.probe().await.unwrap();
    assert!(spooled(storage).is_empty());
    assert!(list(storage, "").await.is_empty());
    let usage = storage.usage().await.unwrap();
    if let (Some(total), Some(free)) = (usage.total, usage.free) {
        assert!(0 < free && free <= total);
    }
}
