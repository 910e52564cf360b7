use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::json;

use super::gate::Gate;
use super::network::{soon_finds, start, start_with};
use crate::harness::nix_host::NixHost;
use crate::harness::{Path, SOON, Site, wait_for};
use crate::nix_client::{reader, url, writer};

#[test]
fn what_one_of_five_daemons_has_all_of_them_serve_under_their_own_signature() {
    let sites = start(5);
    let path = Path::small("shared");
    sites[4].pusher("pub").push(&path);
    for site in &sites {
        soon_finds(site, "pub", &path);
        let info = site.reader("pub").assert_has(&path);
        assert!(info.is_signed_by(&site.public_key("pub")));
    }
    // What is only found elsewhere counts as missing for those who push.
    assert_eq!(sites[0].pusher("pub").missing(&[&path.hash]), [path.hash.as_str()]);
    sites[0].reader("pub").assert_lacks(&Path::small("absent"));
}

#[test]
fn nix_fetches_a_closure_through_a_daemon_that_has_none_of_it() {
    let sites = start(5);
    let here = writer(&sites[4], "pub");
    let root = here.build_closure(5);
    here.ok(&format!("nix copy --to {} {root}", url(&sites[4], "pub")));
    let there = reader(&sites[0], "pub");
    let url = url(&sites[0], "pub");
    wait_for(SOON, "the closure comes through the other daemon", || {
        there.run(&format!("nix copy --from {url} {root}")).status.success().then_some(())
    });
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
    // The signature of the other daemon goes along, so who trusts that one needs no other key.
    assert_ne!(sites[4].public_keys("pub"), sites[0].public_keys("pub"));
    NixHost::trusting(&sites[4].public_keys("pub")).ok(&format!("nix copy --from {url} {root}"));
    NixHost::trusting(&sites[3].public_keys("pub")).fails(&format!("nix copy --from {url} {root}"));
}

#[test]
fn a_nar_arrives_although_the_daemon_was_restarted_since_its_narinfo() {
    let mut sites = start(2);
    let path = Path::incompressible("travelling", 3_000_000);
    sites[1].pusher("pub").push(&path);
    soon_finds(&sites[0], "pub", &path);
    let info = sites[0].reader("pub").narinfo(&path);
    sites[0].crash_and_restart();
    let reply = sites[0].reader("pub").get(&info.url).expect(200);
    assert!(reply.body == path.file);
    // Under no other name, and with no other ticket.
    let (ticket, file) = info.url.rsplit_once('/').unwrap();
    let other = Path::small("other");
    let other_file = other.file_url();
    let other_file = other_file.strip_prefix("nar/").unwrap();
    assert_eq!(sites[0].reader("pub").get(&format!("{ticket}/{other_file}")).status, 404);
    assert_eq!(sites[0].reader("my-cache-2").get(&info.url).status, 404);
    assert_eq!(sites[0].reader("pub").get(&format!("{}A/{file}", &ticket[..ticket.len() - 1])).status, 404);
}

#[test]
fn a_transfer_ends_early_when_the_daemon_that_has_the_file_dies() {
    let mut sites = start(2);
    let path = Path::incompressible("broken-off", 60_000_000);
    sites[1].pusher("pub").push(&path);
    soon_finds(&sites[0], "pub", &path);
    let info = sites[0].reader("pub").narinfo(&path);
    let mut reply = sites[0].cache("pub").get(&format!("/{}", info.url)).open().unwrap();
    assert_eq!(reply.read_some(1000).unwrap().len(), 1000);
    sites[1].daemon().kill9();
    assert!(reply.into_response().is_err(), "the reader takes it for the whole");
    // And is told at once that there is nothing more to be had.
    let begun = Instant::now();
    assert_eq!(sites[0].reader("pub").get(&info.url).status, 404);
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(sites[0].reader("pub").narinfo_status(&path), 404);
}

#[test]
fn nix_gets_a_path_although_the_daemon_that_had_it_dies_in_the_middle() {
    let gate = Gate::new();
    let mut sites = start_with(5, |number, config| {
        if number == 4 {
            config["server"]["node-url"] = json!(gate.url());
        }
    });
    gate.guard(sites[4].port("api"));
    let paths = ["with-another", "alone"].map(|name| Path::incompressible(name, 20_000_000));
    for path in &paths {
        sites[4].pusher("pub").push(path);
        soon_finds(&sites[0], "pub", path);
    }
    let [with_another, alone] = paths;
    let from = url(&sites[0], "pub");
    let copy = |path: &Path| format!("nix copy --from {from} {}", path.store_path());
    let (first, second) = (copy(&with_another), copy(&alone));
    let (there, left_alone) = (reader(&sites[0], "pub"), reader(&sites[0], "pub"));
    let (dying, others) = sites.split_last_mut().unwrap();
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| there.run(&first));
        let hopeless = scope.spawn(|| left_alone.run(&second));
        wait_for(SOON, "both are in the middle", || (gate.waiting() == 2).then_some(()));
        // By the time that the first one dies another one has it.
        others[3].pusher("pub").push(&with_another);
        std::thread::sleep(Duration::from_secs(2));
        dying.daemon().kill9();
        gate.break_down();
        let output = copying.join().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // What nobody has any more does not arrive, nor does a part of it.
        assert!(!hopeless.join().unwrap().status.success());
    });
    there.ok(&format!("nix store verify --no-trust {}", with_another.store_path()));
    left_alone.fails(&format!("nix path-info {}", alone.store_path()));
    dying.restart();
    wait_for(SOON, "it is back", || left_alone.run(&second).status.success().then_some(()));
}

#[test]
fn a_daemon_that_asks_for_itself_gets_only_what_is_here() {
    let sites = start(2);
    let path = Path::small("far-away");
    sites[1].pusher("pub").push(&path);
    soon_finds(&sites[0], "pub", &path);
    let narinfo = |site: &Site| {
        let target = format!("/api/v1/cache/pub/{}.narinfo", path.hash);
        site.api().get(&target).header("cache-server-peer", "1").send().status
    };
    assert_eq!(narinfo(&sites[0]), 404);
    assert_eq!(narinfo(&sites[1]), 200);
}

#[test]
fn a_daemon_that_stays_alone_opens_no_port_of_the_dht() {
    let site = Site::with(|config| {
        config["server"]["dht-port"] = config["server"]["deploy-port"].clone();
    });
    UdpSocket::bind(("127.0.0.1", site.port("deploy"))).expect("nobody has the port");
    let other = Path::small("next-door");
    site.pusher("my-cache-2").push(&other);
    site.reader("pub").assert_lacks(&other);
}
