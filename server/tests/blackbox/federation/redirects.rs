//! Upstreams that keep their NARs elsewhere, as hosted caches do.

use std::net::Ipv4Addr;

use serde_json::json;

use super::upstream::{Act, Upstream};
use crate::harness::{Path, Site, namespace};

fn asking(upstream: &Upstream) -> Site {
    let entry = upstream.entry();
    Site::with(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        config["server"]["federation"] = json!({"lookup-timeout": "4s"});
    })
}

#[test]
fn what_an_upstream_redirects_to_its_storage_is_served() {
    let (upstream, storage) = (Upstream::start(), Upstream::start());
    let site = asking(&upstream);
    // To another server; several times, with and without a host; in the middle of a narinfo as well.
    let (far, chained, narinfo) = (Path::small("far"), Path::small("chained"), Path::small("narinfo"));
    for path in [&far, &chained, &narinfo] {
        upstream.has(path);
    }
    upstream.on_nar(&far, Act::Redirect(format!("{}/objects/far?signature=x#y", storage.url())));
    storage.on("/objects/far?signature=x", Act::Send(far.file.clone()));
    upstream.on_nar(&chained, Act::Redirect("/1".to_owned()));
    for hop in 1..4 {
        upstream.on(&format!("/{hop}"), Act::Redirect(format!("{}", hop + 1)));
    }
    upstream.on("/4", Act::Redirect(format!("{}/5", storage.url())));
    storage.on("/5", Act::Send(chained.file.clone()));
    upstream.on_narinfo(&narinfo, Act::Redirect(format!("{}/n", storage.url())));
    storage.on("/n", Act::Send(upstream.narinfo(&narinfo).into_bytes()));
    for path in [&far, &chained, &narinfo] {
        site.reader("pub").assert_has(path);
    }
    // Where a transfer broke off, the rest comes from there too.
    let broken = Path::incompressible("broken", 300_000);
    upstream.has(&broken);
    upstream.on_nar(&broken, Act::Redirect(format!("{}/b", storage.url())));
    storage.on("/b", Act::Promise(broken.file.len(), broken.file[..100_000].to_vec()));
    let info = site.reader("pub").narinfo(&broken);
    assert!(site.cache("pub").get(&format!("/{}", info.url)).try_send().is_err());
    storage.on("/b", Act::Send(broken.file.clone()));
    site.reader("pub").assert_has(&broken);
}

#[test]
fn a_redirect_leads_nowhere_that_only_we_can_reach_and_costs_no_other_path() {
    let upstream = Upstream::start();
    let site = asking(&upstream);
    let good = Path::small("good");
    upstream.has(&good);
    // The upstream is on this machine, so this machine is no secret to it.
    let targets = [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://192.168.0.1:8080/x",
        "http://172.16.0.1/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://0/",
        "http://224.0.0.1/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        // The same addresses in other words.
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[::ffff:0:0]/",
        "http://[::]/",
        "//169.254.169.254/x",
        "http://user:password@169.254.169.254/",
        // No host, no URL, no scheme that is followed.
        "http://",
        "http:///",
        "//",
        "http://:80/",
        "http://[::1/",
        "http://127.0.0.1:65536/",
        "data:text/plain,x",
        "s3://bucket/x",
        // Nowhere at last.
        "/around/0",
    ];
    for hop in 0..10 {
        upstream.on(&format!("/around/{hop}"), Act::Redirect(format!("/around/{}", hop + 1)));
    }
    for to in targets {
        let (nar, narinfo) = (Path::small("nar"), Path::small("narinfo"));
        upstream.has(&nar);
        upstream.on_nar(&nar, Act::Redirect(to.to_owned()));
        upstream.on_narinfo(&narinfo, Act::Redirect(to.to_owned()));
        let reader = site.reader("pub");
        assert_eq!(reader.narinfo_status(&narinfo), 404, "{to}");
        let info = reader.narinfo(&nar);
        assert_eq!(reader.get(&info.url).status, 404, "{to}");
        // What cannot be had is not promised again.
        assert_eq!(reader.narinfo_status(&nar), 404, "{to}");
        reader.assert_has(&good);
        let another = Path::small("another");
        upstream.has(&another);
        reader.assert_has(&another);
    }
    // No further than that: five redirects.
    assert_eq!(upstream.asked("/around/4"), 2);
    assert_eq!(upstream.asked("/around/5"), 0);
}

#[test]
fn every_kind_of_redirect_is_followed_to_every_form_of_a_place() {
    let (upstream, storage) = (Upstream::start(), Upstream::start());
    let site = asking(&upstream);
    let far = storage.url();
    // What stands in `Location`, where that leads from `/nar/…` or from `/HASH.narinfo`, and at which server.
    let places: [(String, &str, &Upstream); 5] = [
        (format!("{far}/objects/x?signature=a%2Fb"), "/objects/x?signature=a%2Fb", &storage),
        (far.replace("http:", "") + "/y", "/y", &storage),
        ("/z".to_owned(), "/z", &upstream),
        ("../nar/../w".to_owned(), "/w", &upstream),
        (format!("{}/v#part", far.to_uppercase()), "/v", &storage),
    ];
    for status in [301, 302, 303, 307, 308] {
        for (location, place, server) in &places {
            let act = Act::Moved(status, format!("Location: {location}\r\n"));
            let path = Path::small("moved");
            upstream.has(&path);
            upstream.on_nar(&path, act.clone());
            server.on(place, Act::Send(path.file.clone()));
            site.reader("pub").assert_has(&path);
            let path = Path::small("described-elsewhere");
            upstream.has(&path);
            upstream.on_narinfo(&path, act);
            server.on(place, Act::Send(upstream.narinfo(&path).into_bytes()));
            site.reader("pub").assert_has(&path);
        }
    }
}

#[test]
fn five_redirects_are_followed_and_six_are_not() {
    let upstream = Upstream::start();
    let site = asking(&upstream);
    for (redirects, is_served) in [(5, true), (6, false)] {
        let chain = |name: &str, end: Act| {
            for hop in 1..redirects {
                let next = Act::Redirect(format!("/{name}/{}", hop + 1));
                upstream.on(&format!("/{name}/{hop}"), next);
            }
            upstream.on(&format!("/{name}/{redirects}"), end);
            Act::Redirect(format!("/{name}/1"))
        };
        let path = Path::small("nar");
        upstream.has(&path);
        upstream.on_nar(&path, chain(&format!("nar-{redirects}"), Act::Send(path.file.clone())));
        let info = site.reader("pub").narinfo(&path);
        assert_eq!(site.reader("pub").get(&info.url).status, if is_served { 200 } else { 404 });
        let path = Path::small("narinfo");
        upstream.has(&path);
        let text = Act::Send(upstream.narinfo(&path).into_bytes());
        upstream.on_narinfo(&path, chain(&format!("narinfo-{redirects}"), text));
        assert_eq!(site.reader("pub").narinfo_status(&path), if is_served { 200 } else { 404 });
    }
    assert_eq!(upstream.asked("/nar-6/5"), 1);
    assert_eq!(upstream.asked("/nar-6/6"), 0);
}

#[test]
fn a_redirect_that_leads_back_or_nowhere_costs_few_requests_and_no_other_path() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    let site = asking(&upstream);
    let to = |place: &str| Act::Moved(302, format!("Location: {place}\r\n"));
    other.on("/back", to(&format!("{}/forth", upstream.url())));
    upstream.on("/forth", to(&format!("{}/back", other.url())));
    // To itself, to itself in another word, between two servers, with an empty place, without one, and with one that is no text.
    type Redirect<'a> = &'a dyn Fn(&str) -> Act;
    let acts: [(&str, Redirect<'_>); 6] = [
        ("itself", &|own| to(own)),
        ("itself with a part", &|own| to(&format!("{own}#x"))),
        ("between two", &|_| to(&format!("{}/back", other.url()))),
        ("empty", &|_| to("")),
        ("none", &|_| Act::Moved(302, String::new())),
        ("no text", &|_| Act::Moved(307, "Location: http://\u{fffd}/\r\n".to_owned())),
    ];
    for (name, act) in acts {
        for _ in 0..4 {
            let (nar, narinfo) = (Path::small("nar"), Path::small("narinfo"));
            upstream.has(&nar);
            upstream.on_nar(&nar, act(&format!("/{}", nar.file_url())));
            upstream.on_narinfo(&narinfo, act(&format!("/{}.narinfo", narinfo.hash)));
            let before = upstream.requests().len() + other.requests().len();
            let reader = site.reader("pub");
            assert_eq!(reader.narinfo_status(&narinfo), 404, "{name}");
            let info = reader.narinfo(&nar);
            assert_eq!(reader.get(&info.url).status, 404, "{name}");
            let asked = upstream.requests().len() + other.requests().len() - before;
            // Six for each, and the narinfo of the NAR.
            assert!(asked <= 13, "{name}: {asked}");
            // Not one failure among them, of which three would switch the upstream off.
            let good = Path::small("good");
            upstream.has(&good);
            reader.assert_has(&good);
        }
    }
}

#[test]
fn what_a_redirect_leads_to_has_to_be_what_was_signed() {
    let (upstream, storage) = (Upstream::start(), Upstream::start());
    let site = asking(&upstream);
    let changes: [fn(&mut Vec<u8>); 4] = [
        |file| *file.last_mut().unwrap() ^= 1,
        |file| file[1000] ^= 1,
        |file| file.truncate(100_000),
        |file| file.extend(b"more"),
    ];
    for change in changes {
        let path = Path::incompressible("changed", 300_000);
        upstream.has(&path);
        upstream.on_nar(&path, Act::Redirect(format!("{}/object", storage.url())));
        let mut file = path.file.clone();
        change(&mut file);
        storage.on("/object", Act::Send(file));
        let info = site.reader("pub").narinfo(&path);
        if let Ok(reply) = site.cache("pub").get(&format!("/{}", info.url)).try_send() {
            assert_eq!(reply.status, 404);
        }
        // A narinfo that was signed for another path, and one that nobody trusted has signed.
        let other = Path::small("other");
        let narinfo: [&dyn Fn(&Path) -> String; 2] =
            [&|_| upstream.narinfo(&other), &|path| storage.narinfo(path)];
        for forge in narinfo {
            let path = Path::small("described");
            upstream.on_narinfo(&path, Act::Redirect(format!("{}/narinfo", storage.url())));
            storage.on("/narinfo", Act::Send(forge(&path).into_bytes()));
            assert_eq!(site.reader("pub").narinfo_status(&path), 404);
        }
        let good = Path::small("good");
        upstream.has(&good);
        site.reader("pub").assert_has(&good);
    }
}

#[test]
fn an_upstream_elsewhere_leads_nowhere_on_this_machine_or_its_network() {
    let public = [Ipv4Addr::new(8, 8, 4, 4), Ipv4Addr::new(9, 9, 9, 9)];
    let private = [Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(192, 168, 7, 7)];
    let link = Ipv4Addr::new(169, 254, 169, 254);
    let all = [&public[..], &private, &[link]].concat().iter().map(ToString::to_string).collect::<Vec<_>>();
    namespace::enter_new(&all.iter().map(String::as_str).collect::<Vec<_>>());
    // Something on loopback, on the link and in the private network that only this machine can reach.
    let [inside, metadata, neighbour, another] =
        [Ipv4Addr::LOCALHOST, link, private[0], private[1]].map(Upstream::at);
    let far = Upstream::at(public[1]);
    for (own, may_reach) in [(public[0], None), (private[0], Some(&another))] {
        let upstream = Upstream::at(own);
        let site = asking(&upstream);
        let here = inside.port();
        let mut targets: Vec<String> = [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "0177.0.0.1",
            "127.8.9.1",
            "localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "0.0.0.0",
            "0",
        ]
        .map(|host| format!("http://{host}:{here}/object"))
        .to_vec();
        targets.push(format!("{}/object", metadata.url()));
        targets.push(format!("file://127.0.0.1:{here}/object"));
        if may_reach.is_none() {
            targets.push(format!("{}/object", neighbour.url()));
            targets.push(format!("http://{}:{}/object", u32::from(private[0]), neighbour.port()));
        }
        // And from a public place back to here.
        targets.push(format!("{}/back", far.url()));
        far.on("/back", Act::Redirect(format!("{}/object", inside.url())));
        for to in &targets {
            let (nar, narinfo) = (Path::small("nar"), Path::small("narinfo"));
            upstream.has(&nar);
            upstream.on_nar(&nar, Act::Redirect(to.clone()));
            upstream.on_narinfo(&narinfo, Act::Redirect(to.clone()));
            for reachable in [&inside, &metadata, &neighbour] {
                reachable.on("/object", Act::Send(nar.file.clone()));
            }
            let reader = site.reader("pub");
            assert_eq!(reader.narinfo_status(&narinfo), 404, "{to}");
            let info = reader.narinfo(&nar);
            assert_eq!(reader.get(&info.url).status, 404, "{to}");
        }
        // Public addresses are for everybody, and a private upstream may have its storage beside it.
        for place in [Some(&far), may_reach].into_iter().flatten() {
            let path = Path::small("allowed");
            upstream.has(&path);
            upstream.on_nar(&path, Act::Redirect(format!("{}/object", place.url())));
            place.on("/object", Act::Send(path.file.clone()));
            site.reader("pub").assert_has(&path);
        }
    }
    // Nobody came.
    for reachable in [&inside, &metadata, &neighbour] {
        assert_eq!(reachable.requests(), Vec::<String>::new());
    }
}
