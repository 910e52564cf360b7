//! What an operator can get wrong.

use std::time::{Duration, Instant};

use nar_storage::{S3Credentials, S3Settings, S3Storage, Storage};

use crate::backend::{S3Backend, settings};
use crate::garage::{ACCESS_KEY, SECRET_KEY};
use crate::scenarios::{content, get, key, put};

fn credentials(access_key: &str, secret_key: &str) -> Option<S3Credentials> {
    Some(S3Credentials { access_key: access_key.to_owned(), secret_key: secret_key.to_owned() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_the_settings_is_one_line_that_names_storage_bucket_and_cause() {
    let backend = S3Backend::new().await;
    let directory = tempfile::tempdir().unwrap();
    let good = settings(&backend.garage.endpoint(), &directory);
    let nobody = Some("http://127.0.0.1:1".to_owned());
    let unknown_host = Some("http://no-such-host.invalid".to_owned());
    let tls = Some(backend.garage.endpoint().replace("http:", "https:"));
    let elsewhere = "GKaaaaaaaaaaaaaaaaaaaaaaaa";
    for (wrong, says) in [
        (S3Settings { bucket: "absent".into(), ..good.clone() }, "there is no such bucket"),
        (S3Settings { credentials: credentials(elsewhere, SECRET_KEY), ..good.clone() }, "access is denied"),
        (S3Settings { credentials: credentials(ACCESS_KEY, "x"), ..good.clone() }, "access is denied"),
        (S3Settings { region: "eu-west-1".into(), ..good.clone() }, "the region is wrong"),
        (S3Settings { endpoint: nobody, ..good.clone() }, "refused"),
        (S3Settings { endpoint: unknown_host, ..good.clone() }, "no answer"),
        (S3Settings { endpoint: tls, ..good.clone() }, "no answer"),
    ] {
        let bucket = wrong.bucket.clone();
        let storage = S3Storage::new(wrong).await;
        for error in [storage.prepare().await.unwrap_err(), storage.probe().await.unwrap_err()] {
            let text = error.to_string();
            println!("{text}");
            assert!(error.is_unavailable(), "{text}");
            for part in ["storage cloud", &format!("bucket {bucket} of http"), says] {
                assert!(text.contains(part), "{part:?} in {text:?}");
            }
            assert!(!text.contains('\n') && !text.contains(SECRET_KEY), "{text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_because_the_bucket_is_not_found() {
    let backend = S3Backend::new().await;
    let directory = tempfile::tempdir().unwrap();
    let absent = S3Settings { bucket: "absent".into(), ..settings(&backend.garage.endpoint(), &directory) };
    let storage = S3Storage::new(absent).await;
    let key = key("nar/x.nar");
    for error in [
        storage.open(&key, Some(1), None).await.unwrap_err(),
        storage.open(&key, Some(1), Some(0..0)).await.unwrap_err(),
        storage.open(&key, Some(1), Some(0..1)).await.unwrap_err(),
        storage.head(&key).await.unwrap_err(),
        storage.delete(&key).await.unwrap_err(),
    ] {
        assert!(error.is_unavailable() && !error.is_lost(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_only_read_can_read() {
    let backend = S3Backend::new().await;
    let directory = tempfile::tempdir().unwrap();
    put(backend.storage.as_ref(), &key("nar/x.nar"), &content(10, 1)).await;
    let reader = "GKbbbbbbbbbbbbbbbbbbbbbbbb";
    backend.garage.run(&["key", "import", "--yes", reader, SECRET_KEY]);
    backend.garage.run(&["bucket", "allow", "--read", crate::garage::BUCKET, "--key", reader]);
    let storage = S3Storage::new(S3Settings {
        credentials: credentials(reader, SECRET_KEY),
        ..settings(&backend.garage.endpoint(), &directory)
    })
    .await;
    storage.prepare().await.unwrap();
    assert_eq!(get(&storage, &key("nar/x.nar")).await.unwrap(), content(10, 1));
    let error = storage.probe().await.unwrap_err();
    assert!(error.to_string().contains("access is denied"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_the_sdk_looks_for_one_and_says_so_in_time() {
    let backend = S3Backend::new().await;
    let directory = tempfile::tempdir().unwrap();
    let keyless = S3Settings { credentials: None, ..settings(&backend.garage.endpoint(), &directory) };
    let storage = S3Storage::new(keyless).await;
    let begun = Instant::now();
    let error = storage.prepare().await.unwrap_err();
    // Where the test runs, the SDK may find a key, though not one that fits.
    let text = error.to_string();
    assert!(text.contains("there is no key") || text.contains("access is denied"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(21), "{:?}", begun.elapsed());
}
