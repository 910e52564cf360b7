//! What others learn about a daemon: read with a node of the same network, record by record.

use super::network::{soon_finds, start};
use super::node::Node;
use crate::harness::{Path, SOON, wait_for};

#[test]
fn nothing_of_a_private_cache_is_ever_announced() {
    let sites = start(2);
    let observer = Node::observing(&sites[0]);
    let (secret, open) = (Path::small("secret"), Path::small("open"));
    // The public one comes last, so when it is announced the private one would be too.
    sites[1].pusher("priv").push(&secret);
    sites[1].pusher("pub").push(&open);
    wait_for(SOON, "the public path is announced", || (observer.who_has(&open) == ["pub"]).then_some(()));
    assert_eq!(observer.who_has(&secret), Vec::<String>::new());
    wait_for(SOON, "both daemons are known", || (observer.caches().len() == 6).then_some(()));
    assert!(!observer.caches().contains(&"priv".to_owned()), "{:?}", observer.caches());
    soon_finds(&sites[0], "pub", &open);
    assert_eq!(sites[0].reader("pub").narinfo_status(&secret), 404);
}

#[test]
fn what_is_deleted_is_taken_back() {
    let sites = start(2);
    let observer = Node::observing(&sites[0]);
    let path = Path::small("short-lived");
    sites[1].pusher("pub").push(&path);
    wait_for(SOON, "it is announced", || (observer.who_has(&path) == ["pub"]).then_some(()));
    sites[1].cachectl_ok(&["path", "delete", &path.hash, "--cache", "pub"]);
    wait_for(SOON, "it is withdrawn", || observer.who_has(&path).is_empty().then_some(()));
}

#[test]
fn a_cache_that_becomes_private_is_taken_back() {
    let sites = start(2);
    let observer = Node::observing(&sites[0]);
    let path = Path::small("once-open");
    sites[1].pusher("pub").push(&path);
    wait_for(SOON, "it is announced", || (observer.who_has(&path) == ["pub"]).then_some(()));
    sites[1].edit_config(|config| config["caches"][0]["access"] = "private".into());
    sites[1].cachectl_ok(&["reload"]);
    wait_for(SOON, "it is withdrawn", || observer.who_has(&path).is_empty().then_some(()));
}
