//! The recipes of the documentation, with the roots and the service of the test.

use serde_json::{Value, json};

use super::bucket::Bucket;
use super::copies::wait_for_copies;
use super::medium::Medium;
use super::tiers::SETTLED;
use super::{assert_all_readable, disk, in_bucket, paths};
use crate::harness::{Path, Site, wait_for};

const PAGE: &str = include_str!("../../../../docs/src/storages.md");

/// The storages of the recipe with this heading.
fn recipe(heading: &str) -> [Value; 2] {
    let below = PAGE.split(heading).nth(1).expect("the heading is there");
    let yaml = below.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let config: Value = serde_yaml::from_str(yaml.expect("a configuration follows")).unwrap();
    let storages = config["caches"][0]["storages"].as_array().unwrap();
    storages.clone().try_into().unwrap()
}

/// Nothing reads the paths for as long as the first storage keeps them. Then they are read.
#[track_caller]
fn leave_and_come_back(site: &mut Site, media: &[Medium<'_>; 2], all: &[Path]) {
    let mut after = Value::Null;
    site.reconfigure(|config| {
        let storage = &mut config["caches"][0]["storages"][0];
        after = storage["demote-after"].take();
        (storage["demote-after"], storage["promote"]) = (json!("1s"), json!(false));
    });
    wait_for_copies(&media[1..], all, 1);
    wait_for(SETTLED, "the first storage is empty", || media[0].nars().is_empty().then_some(()));
    site.reconfigure(|config| {
        let storage = &mut config["caches"][0]["storages"][0];
        (storage["demote-after"], storage["promote"]) = (after, json!(true));
    });
    assert_all_readable(site, all);
    wait_for_copies(media, all, 2);
    assert_all_readable(site, all);
}

#[test]
fn an_ssd_before_s3() {
    let bucket = Bucket::start();
    let mut site = Site::with_files(|config, directory| {
        let [mut ssd, mut s3] = recipe("### An SSD before S3");
        ssd["root"] = json!(directory.join("ssd"));
        for (key, value) in bucket.storage("bucket").as_object().unwrap() {
            s3[key] = value.clone();
        }
        super::declare(config, "in-order", vec![ssd, s3]);
    });
    let media = [disk(&site, "ssd"), in_bucket(&bucket, "bucket")];
    let all = paths([20_000, 2_000_000, 20_000, 20_000]);
    for path in &all {
        site.pusher("pub").push(path);
        assert!(media[0].holds(path), "the SSD has it when the push is answered");
    }
    wait_for_copies(&media, &all, 2);
    leave_and_come_back(&mut site, &media, &all);
    // The SSD dies.
    site.reconfigure(|config| drop(config["caches"][0]["storages"].as_array_mut().unwrap().remove(0)));
    assert_all_readable(&site, &all);
}

#[test]
fn two_disks() {
    let mut site = Site::with_files(|config, directory| {
        let mut storages = recipe("### Two disks");
        for storage in &mut storages {
            storage["root"] = json!(directory.join(storage["name"].as_str().unwrap()));
        }
        super::declare(config, "in-order", storages.to_vec());
    });
    let media = [disk(&site, "fast"), disk(&site, "slow")];
    let all = paths([20_000; 6]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    assert!(all.iter().all(|path| media[0].holds(path) && !media[1].holds(path)));
    leave_and_come_back(&mut site, &media, &all);
    site.cachectl_ok(&["fsck"]);
    wait_for_copies(&media, &all, 2);
}
