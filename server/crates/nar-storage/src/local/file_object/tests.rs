#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use tempfile::TempDir;

use super::*;
use crate::local::ReadCache;
use crate::{Durability, Storage};

const SIZE: u64 = 3 << 20;

async fn object() -> (TempDir, LocalStorage, Key, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let storage = LocalStorage::new("disk", directory.path().join("root"), &ReadCache::new(8));
    storage.prepare().await.unwrap();
    let bytes: Vec<u8> = (0..SIZE).map(|number| ((number * 31) >> 3) as u8).collect();
    let key = Key::new("nar/a.nar").unwrap();
    storage.put_bytes(&key, bytes.clone().into(), Durability::Later).await.unwrap();
    (directory, storage, key, bytes)
}

#[tokio::test]
async fn a_file_is_sent_as_far_as_the_socket_takes_it() {
    let (_directory, storage, key, bytes) = object().await;
    let Some(file) = storage.open_object_now(&key, SIZE) else {
        return assert!(!storage.shared.answers_inline());
    };
    assert_eq!(file.size(), SIZE);
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let socket = Arc::new(OwnedFd::from(ours));
    let (mut at, mut received) = (1000, Vec::new());
    while at < SIZE {
        let sent = file.send(socket.clone(), at..SIZE).await.unwrap();
        assert_eq!(sent.is_full, at + sent.bytes < SIZE);
        at += sent.bytes;
        let mut piece = vec![0; usize::try_from(sent.bytes).unwrap()];
        theirs.read_exact(&mut piece).unwrap();
        received.extend(piece);
    }
    assert!(received == bytes[1000..]);
    drop(theirs);
    assert!(file.send(socket, 0..SIZE).await.is_err());
}

#[tokio::test]
async fn a_file_of_another_size_is_not_opened_and_one_that_shrinks_is_noticed() {
    let (_directory, storage, key, _) = object().await;
    assert!(storage.open_object_now(&key, SIZE - 1).is_none());
    let Some(file) = storage.open_object_now(&key, SIZE) else {
        return assert!(!storage.shared.answers_inline());
    };
    File::options().write(true).open(storage.shared.path(&key)).unwrap().set_len(10).unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let error = file.send(Arc::new(ours), 10..SIZE).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(storage.open_object_now(&key, SIZE).is_none());
}

#[tokio::test]
async fn the_bytes_of_a_small_file_are_kept_until_it_is_changed_replaced_or_deleted() {
    let (_directory, storage, _, _) = object().await;
    let key = Key::new("nar/small.nar").unwrap();
    let put = async |text: &'static str| {
        storage.put_bytes(&key, text.as_bytes().into(), Durability::Later).await.unwrap();
    };
    let read = || {
        let file = storage.open_object_now(&key, 5)?;
        let mut buffer = [0; 8];
        let read = file.read_cached(&mut buffer);
        Some((
            String::from_utf8(buffer[..read].to_vec()).unwrap(),
            matches!(file.contents, Contents::Known(_)),
        ))
    };
    put("first").await;
    if !storage.shared.answers_inline() {
        return;
    }
    let is = |text: &str, is_known: bool| assert_eq!(read(), Some((text.to_owned(), is_known)));
    is("first", false);
    is("first", false);
    is("first", true);
    // Clocks of file systems tick every few milliseconds.
    let tick = || std::thread::sleep(std::time::Duration::from_millis(50));
    tick();
    std::fs::write(storage.shared.path(&key), "other").unwrap();
    is("other", false);
    is("other", true);
    tick();
    put("third").await;
    is("third", false);
    is("third", false);
    is("third", true);
    tick();
    let replacement = storage.shared.path(&Key::new("nar/replacement").unwrap());
    std::fs::write(&replacement, "fifth").unwrap();
    std::fs::rename(&replacement, storage.shared.path(&key)).unwrap();
    is("fifth", false);
    storage.delete(&key).await.unwrap();
    assert_eq!(read(), None);
}
