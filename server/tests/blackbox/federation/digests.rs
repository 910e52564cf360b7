//! What nodes tell each other of what they hold.

use peer_network::inventory::{InventoryFilter, InventoryMessage};

use super::network::{soon_finds, start};
use super::node::{Node, has, target};
use super::upstream::Upstream;
use crate::harness::{Path, SOON, Site, wait_for};

fn digest(node: &Node, site: &Site) -> InventoryFilter {
    let (reply, question) = node.ask_digest(site);
    let message = node.network.open_answer(&question, &reply.expect(200).body).unwrap();
    match InventoryMessage::decode(&message) {
        Some(InventoryMessage::Whole { filter, .. }) => filter,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_digest_names_what_public_caches_hold_and_nothing_else() {
    let sites = start(1);
    let node = Node::observing(&sites[0]);
    let (secret, open, new) = (Path::small("secret"), Path::small("open"), Path::small("new"));
    sites[0].pusher("priv").push(&secret);
    sites[0].pusher("pub").push(&open);
    let names = |path: &Path| digest(&node, &sites[0]).may_contain(&path.hash.parse().unwrap());
    assert!(names(&open) && !names(&secret) && !names(&new));
    // One that was built before is kept up to date.
    sites[0].pusher("pub").push(&new);
    wait_for(SOON, "it is in the digest", || names(&new).then_some(()));
    // And built anew when a cache is not public any more.
    sites[0].edit_config(|config| config["caches"][0]["access"] = "private".into());
    sites[0].cachectl_ok(&["reload"]);
    wait_for(SOON, "it is in no digest", || (!names(&open) && !names(&new)).then_some(()));
}

#[test]
fn nobody_outside_of_the_network_gets_a_digest() {
    let sites = start(1);
    let node = Node::observing(&sites[0]);
    let target = "/api/v1/network/digest?epoch=0&position=0&nonce=once";
    let id = node.network.id().to_string();
    let ask = |proof: &str| {
        let request = sites[0].api().get(target).header("cache-server-peer", &id);
        request.header("cache-server-proof", proof).send().status
    };
    for proof in ["", "AAAA", &"A".repeat(43), "%"] {
        assert_eq!(ask(proof), 403, "{proof:?}");
    }
    assert!((400..500).contains(&sites[0].api().get(target).send().status));
    // What a node of the network gets says nothing to others.
    let (reply, _) = node.ask_digest(&sites[0]);
    assert_eq!(InventoryMessage::decode(&reply.expect(200).body), None);
}

#[test]
fn what_a_cache_held_when_it_became_public_is_found() {
    let sites = start(2);
    let path = Path::small("once-secret");
    sites[1].pusher("priv").push(&path);
    let open = Path::small("open");
    sites[1].pusher("pub").push(&open);
    soon_finds(&sites[0], "pub", &open);
    assert_eq!(sites[0].reader("pub").narinfo_status(&path), 404);
    sites[1].edit_config(|config| config["caches"][1]["access"] = "public".into());
    sites[1].cachectl_ok(&["reload"]);
    soon_finds(&sites[0], "pub", &path);
}

#[test]
fn a_node_that_gives_no_digest_is_asked_all_the_same() {
    let sites = start(1);
    let web = Upstream::start();
    let node = Node::posing(&sites[0], &web);
    let path = Path::small("undigested");
    has(&web, &path);
    node.announce(&path);
    soon_finds(&sites[0], "pub", &path);
    sites[0].reader("pub").assert_has(&path);
    assert!(web.asked(&target(&path.file_url())) >= 1);
}
