//! Nodes of the network that do not keep what they promise: they have its key, and lie all the same.

use super::network::{soon_finds, start};
use super::node::{Node, has, target};
use super::upstream::{Act, Upstream};
use crate::harness::{Path, SOON, Site, wait_for};

/// A daemon, and a node of its network that says it has the path.
fn lied_to(path: &Path) -> (Site, Upstream, Node) {
    let site = start(1).remove(0);
    let web = Upstream::start();
    let node = Node::posing(&site, &web);
    has(&web, path);
    node.announce(path);
    (site, web, node)
}

#[test]
fn what_a_node_says_about_a_path_has_to_prove_itself() {
    let other = Upstream::start();
    let narinfo: [fn(&Upstream, &Upstream, &Path) -> Act; 4] = [
        // Signed by somebody else; about another path; leading elsewhere; said by somebody else.
        |_, other, path| Act::Send(other.narinfo(path).into_bytes()),
        |web, _, _| Act::Send(web.narinfo(&Path::small("moved")).into_bytes()),
        |web, other, path| {
            let elsewhere = format!("URL: {}/nar/", other.url());
            Act::Send(web.narinfo(path).replace("URL: nar/", &elsewhere).into_bytes())
        },
        |_, other, path| Act::Redirect(format!("{}/{}.narinfo", other.url(), path.hash)),
    ];
    for act in narinfo {
        let path = Path::small("forged");
        let (site, web, _node) = lied_to(&path);
        other.has(&path);
        let asked = target(&format!("{}.narinfo", path.hash));
        web.on(&asked, act(&web, &other, &path));
        let reader = site.reader("pub");
        wait_for(SOON, "the node is asked", || {
            assert_eq!(reader.narinfo_status(&path), 404);
            (web.asked(&asked) > 0).then_some(())
        });
        assert_eq!(reader.narinfo_status(&path), 404);
    }
    // Nobody is made to ask where no node said that it is.
    assert_eq!(other.requests(), Vec::<String>::new());
}

#[test]
fn wrong_bytes_of_a_node_never_arrive_whole() {
    let elsewhere = Upstream::start();
    // What it does, and how often it is asked: what breaks off is asked for the rest.
    type MakeAct = fn(&Upstream, &Path) -> Act;
    let nar: [(MakeAct, usize); 6] = [
        (
            |_, path| {
                let mut wrong = path.file.clone();
                wrong[200_000] ^= 1;
                Act::Send(wrong)
            },
            1,
        ),
        (|_, path| Act::Send(path.file[..path.file.len() - 1].to_vec()), 1),
        (|_, path| Act::Promise(path.file.len(), path.file[..path.file.len() / 2].to_vec()), 2),
        (|_, _| Act::Status(500), 1),
        (|elsewhere, path| Act::Redirect(format!("{}/{}", elsewhere.url(), path.file_url())), 1),
        (|_, _| Act::Redirect("http://169.254.169.254/latest/".to_owned()), 1),
    ];
    for (act, asked) in nar {
        let path = Path::incompressible("wrong", 300_000);
        let (site, web, _node) = lied_to(&path);
        elsewhere.has(&path);
        web.on(&target(&path.file_url()), act(&elsewhere, &path));
        soon_finds(&site, "pub", &path);
        let info = site.reader("pub").narinfo(&path);
        if let Ok(reply) = site.cache("pub").get(&format!("/{}", info.url)).try_send() {
            assert_eq!(reply.status, 404);
        }
        assert_eq!(web.asked(&target(&path.file_url())), asked);
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[test]
fn a_nar_that_comes_byte_by_byte_is_cut_off() {
    let path = Path::incompressible("dripping", 300_000);
    let (site, web, _node) = lied_to(&path);
    web.on(&target(&path.file_url()), Act::Drip(path.file.clone()));
    soon_finds(&site, "pub", &path);
    let info = site.reader("pub").narinfo(&path);
    assert!(site.cache("pub").get(&format!("/{}", info.url)).try_send().is_err());
}

#[test]
fn a_node_that_never_answers_costs_a_moment() {
    let path = Path::small("awaited");
    let (site, web, _node) = lied_to(&path);
    let asked = target(&format!("{}.narinfo", path.hash));
    web.on(&asked, Act::Hang);
    let reader = site.reader("pub");
    wait_for(SOON, "the node is asked", || {
        assert_eq!(reader.narinfo_status(&path), 404);
        (web.asked(&asked) > 0).then_some(())
    });
}

#[test]
fn what_a_liar_gives_wrong_comes_from_an_honest_node() {
    let sites = start(2);
    let web = Upstream::start();
    let liar = Node::posing(&sites[0], &web);
    let path = Path::incompressible("precious", 300_000);
    has(&web, &path);
    let mut wrong = path.file.clone();
    wrong[200_000] ^= 1;
    web.on(&target(&path.file_url()), Act::Send(wrong));
    liar.announce(&path);
    wait_for(SOON, "the liar is known", || {
        (sites[0].reader("pub").narinfo_status(&path) == 200).then_some(())
    });
    sites[1].pusher("pub").push(&path);
    // A reader whose download breaks off tries again, and never has something else in hand.
    let info = sites[0].reader("pub").narinfo(&path);
    wait_for(SOON, "the honest one is asked", || {
        let reply = sites[0].cache("pub").get(&format!("/{}", info.url)).try_send().ok()?;
        (reply.status == 200).then(|| assert!(reply.body == path.file))
    });
    assert_eq!(web.asked(&target(&path.file_url())), 1);
}

#[test]
fn what_nobody_can_give_is_not_promised_any_longer() {
    let path = Path::small("gone");
    let (site, web, _node) = lied_to(&path);
    soon_finds(&site, "pub", &path);
    let info = site.reader("pub").narinfo(&path);
    web.on(&target(&path.file_url()), Act::Status(404));
    web.on(&target(&format!("{}.narinfo", path.hash)), Act::Status(404));
    assert_eq!(site.reader("pub").get(&info.url).status, 404);
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
}
