//! How far the nodes of a network are believed: whose signatures count, and where they may say that they are.

use serde_json::{Value, json};

use super::network::{join, soon_finds, start_with};
use super::node::{Node, has, target};
use super::upstream::Upstream;
use crate::harness::{Path, SOON, Site, wait_for};

#[test]
fn a_cache_that_trusts_listed_keys_believes_no_node_by_its_own_word() {
    let site = start_with(1, |_, config| {
        config["caches"][0]["federation"] = json!({"trust": "listed"});
    })
    .remove(0);
    let web = Upstream::start();
    let node = Node::posing(&site, &web);
    let path = Path::small("vouched");
    has(&web, &path);
    node.announce(&path);
    let reader = site.reader("pub");
    wait_for(SOON, "the node is asked", || {
        assert_eq!(reader.narinfo_status(&path), 404);
        (web.asked(&target(&format!("{}.narinfo", path.hash))) > 0).then_some(())
    });
    reader.assert_lacks(&path);
    // Another cache of the same daemon believes the network.
    soon_finds(&site, "my-cache-2", &path);
    // A key that the cache lists counts, whoever has the path.
    site.edit_config(|config| config["caches"][0]["trusted-public-keys"] = json!([web.public_key()]));
    site.cachectl_ok(&["reload"]);
    soon_finds(&site, "pub", &path);
    reader.assert_has(&path);
}

#[test]
fn a_node_that_says_it_is_on_this_machine_is_not_asked() {
    // By its address, and by a name that leads there.
    for host in ["127.0.0.1", "localhost"] {
        let mut site = Site::with(|config| {
            join(config, None);
            config["server"]["federation"]["local-addresses"] = json!(false);
            // Else it is on this machine itself.
            config["server"]["hostname"] = json!("0.0.0.0");
        });
        let web = Upstream::start();
        let node = Node::posing_at(&site, &web, &web.url().replace("127.0.0.1", host));
        let path = Path::small("inside");
        has(&web, &path);
        node.announce(&path);
        wait_for(SOON, "the node is known", || {
            let peers: Value = serde_json::from_str(&site.cachectl_ok(&["peer", "list", "--json"])).unwrap();
            (peers.as_array().unwrap().len() == 1).then_some(())
        });
        wait_for(SOON, "the node would be asked", || {
            assert_eq!(site.reader("pub").narinfo_status(&path), 404);
            site.daemon().log().contains("local-addresses").then_some(())
        });
        assert!(!site.cachectl(&["peer", "ping"]).status.success());
        assert_eq!(web.requests(), Vec::<String>::new());
    }
}
