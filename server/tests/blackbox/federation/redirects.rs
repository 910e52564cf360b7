//! Upstreams that keep their NARs elsewhere, as hosted caches do.

use serde_json::json;

use super::upstream::{Act, Upstream};
use crate::harness::{Path, Site};

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
        "http://",
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
