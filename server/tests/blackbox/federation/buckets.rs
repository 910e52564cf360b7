//! Buckets as upstreams, with the URLs that Nix takes, on a real S3 service.

use std::fs;

use serde_json::json;

use super::upstream::Upstream;
use crate::harness::garage::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};
use crate::harness::{Path, Site};
use crate::nix_client::{reader, url};
use crate::storages::bucket::Bucket;

/// A binary cache at the prefix of the bucket, which has these paths.
fn fill(bucket: &Bucket, prefix: &str, signer: &Upstream, paths: &[&Path]) {
    bucket.put(&format!("{prefix}nix-cache-info"), b"StoreDir: /nix/store\n");
    for path in paths {
        bucket.put(&format!("{prefix}{}.narinfo", path.hash), signer.narinfo(path).as_bytes());
        bucket.put(&format!("{prefix}{}", path.file_url()), &path.file);
    }
}

fn asking(bucket: &Bucket, prefix: &str, signer: &Upstream, secret_key: &str) -> Site {
    let address = bucket.service.address();
    let url = format!("s3://{BUCKET}{prefix}?region={REGION}&scheme=http&endpoint={address}");
    let key = signer.public_key();
    Site::with_files(|config, directory| {
        fs::write(directory.join("ak"), ACCESS_KEY).unwrap();
        fs::write(directory.join("sk"), secret_key).unwrap();
        let entry =
            json!({"url": url, "public-keys": key, "s3-access-key-file": "ak", "s3-secret-key-file": "sk"});
        config["caches"][0]["upstreams"] = json!([entry]);
        config["server"]["federation"] = json!({"lookup-timeout": "4s"});
        config["server"]["log"] = json!({"filter": "debug"});
    })
}

#[test]
fn paths_of_a_bucket_are_served_and_nix_takes_them() {
    let (bucket, signer) = (Bucket::start(), Upstream::start());
    let (small, large) = (Path::small("small"), Path::incompressible("large", 3_000_000));
    fill(&bucket, "", &signer, &[&small, &large]);
    let mut site = asking(&bucket, "", &signer, SECRET_KEY);
    site.reader("pub").assert_has(&small);
    let host = reader(&site, "pub");
    host.ok(&format!("nix copy --from {} {}", url(&site, "pub"), large.store_path()));
    assert_eq!(site.reader("pub").narinfo_status(&Path::small("absent")), 404);
    // What a pusher may skip.
    assert!(site.pusher("pub").missing(&[&small.hash]).is_empty());
    site.cachectl_ok(&["upstream", "check"]);
    let list = site.cachectl_ok(&["upstream", "list"]);
    assert!(list.contains("s3://cache"), "{list}");
    let log = site.daemon().log();
    assert!(!log.contains(SECRET_KEY) && !log.contains("X-Amz-Signature"), "{log}");
}

#[test]
fn a_cache_below_a_prefix_of_a_bucket_is_found_there() {
    let (bucket, signer) = (Bucket::start(), Upstream::start());
    let path = Path::small("below");
    fill(&bucket, "caches/main/", &signer, &[&path]);
    let site = asking(&bucket, "/caches/main", &signer, SECRET_KEY);
    site.reader("pub").assert_has(&path);
}

#[test]
fn a_bucket_that_does_not_let_us_in_is_told_apart_from_one_without_the_path() {
    let (bucket, signer) = (Bucket::start(), Upstream::start());
    let path = Path::small("closed");
    fill(&bucket, "", &signer, &[&path]);
    let site = asking(&bucket, "", &signer, &SECRET_KEY.replace('4', "5"));
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
    let list = site.cachectl_ok(&["upstream", "list"]);
    assert!(list.contains("refusing") && list.contains("403"), "{list}");
    let check = site.cachectl(&["upstream", "check"]);
    assert_eq!(check.status.code(), Some(9));
}
