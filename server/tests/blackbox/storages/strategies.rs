//! Each strategy on two disks and a bucket: what lies where is looked up there.

use serde_json::json;

use super::bucket::Bucket;
use super::medium::{Medium, holder};
use super::{
    assert_all_readable, disk, in_bucket, local, paths, push_side_by_side, site, wait_for_empty_spools, with,
};
use crate::harness::{Path, Site};

/// Two disks and a bucket, in this order.
fn three(strategy: &str, bucket: &Bucket, shares: [u8; 3]) -> Site {
    site(strategy, |directory| {
        let storages = [local(directory, "first"), local(directory, "second"), bucket.storage("third")];
        let shared = storages.into_iter().zip(shares);
        shared
            .map(|(storage, share)| if share > 0 { with(storage, "split", share) } else { storage })
            .collect()
    })
}

fn media<'a>(site: &Site, bucket: &'a Bucket) -> [Medium<'a>; 3] {
    [disk(site, "first"), disk(site, "second"), in_bucket(bucket, "third")]
}

#[test]
fn round_robin_takes_turns_without_a_slip_over_a_crash() {
    let bucket = Bucket::start();
    let mut site = three("round-robin", &bucket, [0; 3]);
    let all = paths((1..=14).map(|number| number * 2_500));
    for path in &all[..4] {
        site.pusher("pub").push(path);
    }
    site.crash_and_restart();
    for path in &all[4..9] {
        site.pusher("pub").push(path);
    }
    site.stop_and_restart();
    for path in &all[9..] {
        site.pusher("pub").push(path);
        // What is there already takes no turn.
        site.pusher("pub").push(path);
    }
    let media = media(&site, &bucket);
    let turns: Vec<usize> = all.iter().map(|path| holder(&media, path)).collect();
    assert_eq!(turns, (0..all.len()).map(|turn| turn % 3).collect::<Vec<_>>());
    assert_all_readable(&site, &all);
}

#[test]
fn in_order_moves_on_at_max_size_and_comes_back_when_there_is_room() {
    let bucket = Bucket::start();
    let mut site = three("in-order", &bucket, [0; 3]);
    site.reconfigure(|config| {
        for storage in 0..2 {
            config["caches"][0]["storages"][storage]["max-size"] = json!("100kB");
        }
    });
    let media = media(&site, &bucket);
    let lands = |site: &Site, size: usize| {
        let path = Path::incompressible("ordered", size);
        site.pusher("pub").push(&path);
        site.reader("pub").assert_has(&path);
        holder(&media, &path)
    };
    let places: Vec<usize> = (0..7).map(|_| lands(&site, 30_000)).collect();
    assert_eq!(places, [0, 0, 0, 1, 1, 1, 2]);
    assert_eq!(lands(&site, 4_000), 0, "what is small still has room in front");
    assert_eq!(lands(&site, 200_000), 2, "what is larger than a storage does not go there");
    site.reconfigure(|config| config["caches"][0]["storages"][0]["max-size"] = json!("200kB"));
    assert_eq!(lands(&site, 30_000), 0, "there is room again");
}

#[test]
fn split_keeps_its_shares_with_eight_pushers() {
    let bucket = Bucket::start();
    let shares = [50, 30, 20];
    let site = three("split", &bucket, shares);
    // From 300 bytes to 60 kB, most of them small.
    let all = paths((0..240_usize).map(|number| 300 + (number * 7_919 % 245).pow(2)));
    push_side_by_side(&site, &all, 8);

    let media = media(&site, &bucket);
    let bytes = media.each_ref().map(Medium::bytes);
    let total: u64 = bytes.iter().sum();
    assert_eq!(total, all.iter().map(|path| path.file.len() as u64).sum::<u64>());
    for (bytes, share) in bytes.into_iter().zip(shares) {
        let actual = bytes as f64 / total as f64 * 100.0;
        assert!((actual - f64::from(share)).abs() < 2.0, "{actual:.2} % instead of {share} %");
    }
    assert_all_readable(&site, &all);
    wait_for_empty_spools(&site);
}

#[test]
fn least_used_never_picks_a_fuller_storage() {
    let bucket = Bucket::start();
    let site = three("least-used", &bucket, [0; 3]);
    let media = media(&site, &bucket);
    let mut used = [0; 3];
    for path in paths((0..18_usize).map(|number| 500 + (number * 7_919 % 200).pow(2))) {
        site.pusher("pub").push(&path);
        let place = holder(&media, &path);
        assert_eq!(used[place], *used.iter().min().unwrap(), "{used:?}: not {place}");
        used[place] += path.file.len() as u64;
    }
    assert_eq!(media.each_ref().map(Medium::bytes), used);
}
