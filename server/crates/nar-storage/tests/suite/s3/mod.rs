//! What is particular to buckets.

mod faults;
mod multipart;
mod settings;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use nar_storage::{Durability, S3Settings, S3Storage, Storage};
use tempfile::TempDir;

use crate::backend::{S3Backend, open_s3, settings};
use crate::bucket::Bucket;
use crate::garage::Garage;
use crate::proxy::Proxy;
use crate::scenarios::{content, get, key, put, read_blocking, spool, spooled};

/// A storage whose bucket is reached through a network that fails on demand.
struct Remote {
    storage: Arc<dyn Storage>,
    proxy: Proxy,
    bucket: Bucket,
    _garage: Garage,
    _directory: TempDir,
}

impl Remote {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let garage = tokio::task::spawn_blocking(Garage::start).await.unwrap();
        let proxy = Proxy::start(garage.address()).await;
        let storage = open_s3(settings(&proxy.endpoint(), &directory)).await;
        let bucket = Bucket::new(&garage.endpoint());
        Self { storage, proxy, bucket, _garage: garage, _directory: directory }
    }
}

/// Waits until something is so.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_ok(), "never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bucket_is_a_plain_binary_cache_below_the_prefix() {
    let backend = S3Backend::new().await;
    let storage = backend.storage.as_ref();
    put(storage, &key("nix-cache-info"), &content(10, 1)).await;
    let file = spool(storage, "upload", &content(20, 1));
    storage.put_file(&key("nar/x.nar"), &file, Durability::Later).await.unwrap();
    storage.probe().await.unwrap();
    let objects = backend.bucket.objects().await;
    let expected = [("root/main/nar/x.nar".to_owned(), 20), ("root/main/nix-cache-info".to_owned(), 10)];
    assert_eq!(objects, expected.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_sees_nothing_of_its_neighbours_in_the_bucket() {
    let backend = S3Backend::new().await;
    for object in
        ["a.narinfo", "root/a.narinfo", "root/main.narinfo", "root/main2/a.narinfo", "root/main/.probe"]
    {
        backend.bucket.put(object, vec![1]).await;
    }
    let storage = backend.storage.as_ref();
    assert!(crate::scenarios::list(storage, "").await.is_empty());
    assert!(get(storage, &key("a.narinfo")).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_prefix_the_bucket_itself_is_the_cache() {
    let backend = S3Backend::new().await;
    let directory = tempfile::tempdir().unwrap();
    let at_root = S3Settings { prefix: String::new(), ..settings(&backend.garage.endpoint(), &directory) };
    let storage = open_s3(at_root).await;
    put(storage.as_ref(), &key("a.narinfo"), &content(10, 1)).await;
    assert_eq!(backend.bucket.objects().await, [("a.narinfo".to_owned(), 10)].into());
    assert_eq!(crate::scenarios::list(storage.as_ref(), "a").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_spool_is_that_of_one_storage_at_a_time() {
    let backend = S3Backend::new().await;
    let upload = spool(backend.storage.as_ref(), "upload", b"bytes");
    let second = S3Storage::new(settings(&backend.garage.endpoint(), &backend.directory)).await;
    let error = second.prepare().await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert!(upload.exists());
    drop(backend.storage);
    second.prepare().await.unwrap();
    assert!(!upload.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_from_the_spool_of_another_storage_is_taken() {
    let backend = S3Backend::new().await;
    let other = tempfile::tempdir().unwrap();
    let file = other.path().join("upload");
    fs::write(&file, content(1000, 1)).unwrap();
    let key = key("nar/x.nar");
    backend.storage.put_file(&key, &file, Durability::Now).await.unwrap();
    assert!(!file.exists());
    assert_eq!(get(backend.storage.as_ref(), &key).await.unwrap(), content(1000, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presigned_url_needs_no_key_and_no_daemon() {
    let backend = S3Backend::new().await;
    let directory = tempfile::tempdir().unwrap();
    let redirecting = S3Settings { redirect: true, ..settings(&backend.garage.endpoint(), &directory) };
    let storage = open_s3(redirecting).await;
    let key = key("nar/x+y=z?.nar");
    put(storage.as_ref(), &key, &content(1000, 1)).await;
    let expires = Duration::from_secs(60);
    let url = storage.presign_get(&key, expires).await.unwrap().unwrap();
    let path = url.strip_prefix(&backend.garage.endpoint()).unwrap().to_owned();
    let address = backend.garage.address();
    let fetch = move |path: &str| http_get(address, path);
    let (whole, refused) =
        tokio::task::spawn_blocking(move || (fetch(&path), fetch(path.split('?').next().unwrap())))
            .await
            .unwrap();
    assert!(whole.starts_with(b"HTTP/1.1 200 ") && whole.ends_with(&content(1000, 1)));
    assert!(refused.starts_with(b"HTTP/1.1 403 "));
    // Who has not asked for it is not sent away.
    assert_eq!(backend.storage.presign_get(&key, expires).await.unwrap(), None);
}

/// The whole answer to a bare request.
fn http_get(address: std::net::SocketAddr, path: &str) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_at_its_quota_is_a_full_storage() {
    let backend = S3Backend::new().await;
    let storage = backend.storage.as_ref();
    backend.garage.run(&["bucket", "set-quotas", crate::garage::BUCKET, "--max-size", "1MiB"]);
    put(storage, &key("small"), &content(1000, 1)).await;
    for size in [2 << 20, 40 << 20] {
        let file = spool(storage, "upload", &content(size, 1));
        let error = storage.put_file(&key("nar/x.nar"), &file, Durability::Now).await.unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_eq!(spooled(storage), ["upload"]);
    }
    eventually("the upload is aborted", async || backend.bucket.uploads().await.is_empty()).await;
    assert_eq!(backend.bucket.objects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_used_again() {
    let mut backend = S3Backend::new().await;
    let key = key("nar/x.nar");
    put(backend.storage.as_ref(), &key, &content(1000, 1)).await;
    backend.garage.kill();
    assert!(backend.storage.probe().await.unwrap_err().is_unavailable());
    assert!(read_blocking(&backend.storage, &key).await.unwrap_err().is_unavailable());
    tokio::task::block_in_place(|| backend.garage.restart());
    backend.storage.probe().await.unwrap();
    assert_eq!(get(backend.storage.as_ref(), &key).await.unwrap(), content(1000, 1));
}
