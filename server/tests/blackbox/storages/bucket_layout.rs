//! What a bucket holds is a flat binary cache like any other, and readers can be sent there.

use super::bucket::Bucket;
use super::medium::Medium;
use super::{disk, in_bucket, local, site, with};
use crate::harness::{Endpoint, SOON, wait_for};
use crate::nix_client::{reader, url, writer};

/// Through the daemon from two disks and a bucket; then what is in the bucket without the daemon.
#[test]
fn nix_reads_what_is_spread_over_disks_and_a_bucket() {
    let bucket = Bucket::start();
    let mut site = site("round-robin", |directory| {
        vec![local(directory, "first"), local(directory, "second"), bucket.storage("third")]
    });
    let here = writer(&site, "pub");
    let root = here.build_closure(11);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    for medium in [disk(&site, "first"), disk(&site, "second"), in_bucket(&bucket, "third")] {
        assert!(medium.nars().len() >= 4, "{:?}", medium.nars());
    }
    let there = reader(&site, "pub");
    there.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
    there.ok(&format!("nix-store --verify-path $(nix-store -q --requisites {root})"));

    // As files, whoever serves them. Everything is in the bucket after a drain of the disks.
    site.reconfigure(|config| {
        for storage in 0..2 {
            config["caches"][0]["storages"][storage]["draining"] = true.into();
        }
    });
    for name in ["first", "second"] {
        site.cachectl_ok(&["storage", "drain", name]);
    }
    let elsewhere = reader(&site, "pub");
    assert!(site.daemon().terminate().success());
    let mirror = site.directory().join("mirror");
    bucket.mirror("third/pub/", &mirror);
    elsewhere.ok(&format!("nix copy --from file://{} {root}", mirror.display()));
    assert_eq!(elsewhere.describe_closure(&root), here.describe_closure(&root));
}

#[test]
fn readers_are_sent_to_the_bucket_if_the_config_says_so() {
    let bucket = Bucket::start();
    let site = site("in-order", |_| vec![with(bucket.storage("third"), "s3_redirect", true)]);
    let here = writer(&site, "pub");
    let root = here.build_closure(4);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    let there = reader(&site, "pub");
    there.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));

    let medium = in_bucket(&bucket, "third");
    for name in medium.nars().keys() {
        let reply = site.reader("pub").get(name).expect(302);
        let link = reply.header("Location").expect("a redirection says where to").to_owned();
        assert!(link.starts_with(&bucket.service.endpoint()), "{link}");
        assert_eq!(fetch(&link), medium.read(name));
    }
    // The narinfo comes from us: nothing but the NAR is worth a detour.
    let hash = &root["/nix/store/".len()..][..32];
    site.reader("pub").get(&format!("{hash}.narinfo")).expect(200);
    wait_until_published(&medium);
}

/// What a reader gets who follows a link.
#[track_caller]
fn fetch(link: &str) -> Vec<u8> {
    let (host, target) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let endpoint = Endpoint { address: host.parse().unwrap(), host: host.to_owned() };
    endpoint.get(&format!("/{target}")).send().expect(200).body
}

/// Waits until there is a narinfo and a listing beside every NAR.
fn wait_until_published(medium: &Medium<'_>) {
    let count = |names: Vec<String>, end: &str| names.iter().filter(|name| name.ends_with(end)).count();
    wait_for(SOON, "every NAR has its narinfo and its listing", || {
        let names: Vec<String> = medium.files().into_keys().collect();
        let nars = medium.nars().len();
        (count(names.clone(), ".narinfo") == nars && count(names, ".ls") == nars).then_some(())
    });
}
