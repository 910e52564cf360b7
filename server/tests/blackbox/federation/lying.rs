//! Upstreams that do not keep what they promise. Nothing of that reaches a reader.

use std::time::Duration;

use serde_json::json;

use super::upstream::{Act, Upstream};
use crate::harness::{Path, SOON, Site, wait_for};

/// A daemon whose cache `pub` asks these upstreams.
fn asking(upstreams: &[&Upstream]) -> Site {
    let entries: Vec<_> = upstreams.iter().map(|upstream| upstream.entry()).collect();
    Site::with(|config| {
        config["caches"][0]["upstreams"] = json!(entries);
        config["server"]["federation"] = json!({"lookup-timeout": "2s"});
    })
}

/// A reader that asks for the whole NAR gets none of it, or only a part that it cannot take for the whole.
#[track_caller]
fn never_gets_the_nar(site: &Site, path: &Path) {
    let reader = site.reader("pub");
    let info = reader.narinfo(path);
    // An error is a reply that was cut off.
    if let Ok(reply) = site.cache("pub").get(&format!("/{}", info.url)).try_send() {
        assert_eq!(reply.status, 404);
    }
}

#[test]
fn what_a_good_upstream_has_is_served_and_signed() {
    let upstream = Upstream::start();
    let site = asking(&[&upstream]);
    for path in [Path::small("small"), Path::incompressible("large", 5_000_000)] {
        upstream.has(&path);
        let info = site.reader("pub").assert_has(&path);
        assert!(info.is_signed_by(&site.public_key("pub")));
        // Only the cache that names the upstream asks it.
        site.reader("my-cache-2").assert_lacks(&path);
    }
}

#[test]
fn a_private_cache_serves_what_its_upstream_has_to_those_with_a_token() {
    let upstream = Upstream::start();
    let entry = upstream.entry();
    let site = Site::with(|config| config["caches"][1]["upstreams"] = json!([entry]));
    let path = Path::small("small");
    upstream.has(&path);
    let info = site.reader("priv").assert_has(&path);
    assert_eq!(site.cache("priv").get(&format!("/{}.narinfo", path.hash)).send().status, 401);
    assert_eq!(site.cache("priv").get(&format!("/{}", info.url)).send().status, 401);
}

#[test]
fn a_narinfo_that_does_not_prove_itself_is_not_taken() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    let path = || Path::small("forged");
    let signed = |path: &Path, text: String| (path.clone(), text);
    let (forged, unsigned, moved, grown, outside, rubbish, endless) =
        (path(), path(), path(), path(), path(), path(), path());
    let cases = [
        signed(&forged, other.narinfo(&forged)),
        signed(&unsigned, unsigned.narinfo_text()),
        signed(&moved, upstream.narinfo(&path())),
        signed(&grown, upstream.narinfo(&grown).replace("NarSize: ", "NarSize: 1")),
        signed(&outside, upstream.narinfo(&outside).replace("URL: nar/", "URL: http://127.0.0.1:1/nar/")),
        signed(&rubbish, "<html>".to_owned()),
        signed(&endless, "x".repeat(3 << 20)),
    ];
    let site = asking(&[&upstream]);
    for (path, text) in cases {
        upstream.on_narinfo(&path, Act::Send(text.into_bytes()));
        upstream.on_nar(&path, Act::Send(path.file.clone()));
        site.reader("pub").assert_lacks(&path);
        assert_eq!(upstream.asked(&format!("/{}.narinfo", path.hash)), 1);
        // That is a fact about this path. Else one question would switch the upstream off for everybody.
        let good = Path::small("good");
        upstream.has(&good);
        site.reader("pub").assert_has(&good);
    }
}

#[test]
fn a_wrong_nar_costs_no_other_path_of_its_upstream() {
    let upstream = Upstream::start();
    let site = asking(&[&upstream]);
    for _ in 0..5 {
        let path = Path::incompressible("wrong", 300_000);
        upstream.has(&path);
        let mut wrong = path.file.clone();
        wrong[200_000] ^= 1;
        upstream.on_nar(&path, Act::Send(wrong));
        let target = format!("/{}", site.reader("pub").narinfo(&path).url);
        assert!(site.cache("pub").get(&target).try_send().is_err());
        // It is not fetched again and again.
        for _ in 0..3 {
            assert_eq!(site.cache("pub").get(&target).send().status, 404);
        }
        assert_eq!(upstream.asked(&format!("/{}", path.file_url())), 1);
        assert_eq!(site.reader("pub").narinfo_status(&path), 404);
        let good = Path::small("good");
        upstream.has(&good);
        site.reader("pub").assert_has(&good);
    }
}

#[test]
fn a_path_that_is_left_out_is_in_the_log() {
    let (upstream, stranger) = (Upstream::start(), Upstream::start());
    let mut site = asking(&[&upstream]);
    let path = Path::small("untrusted");
    upstream.on_narinfo(&path, Act::Send(stranger.narinfo(&path).into_bytes()));
    site.reader("pub").assert_lacks(&path);
    let log = site.daemon().log();
    assert!(log.contains(&path.hash) && log.contains("signature"), "{log}");
}

#[test]
fn wrong_bytes_never_arrive_whole() {
    let upstream = Upstream::start();
    let wrong = |path: &Path| {
        let mut file = path.file.clone();
        let last = file.len() - 1;
        file[last] ^= 1;
        file
    };
    let acts: [fn(&Path, Vec<u8>) -> Act; 5] = [
        |_, wrong| Act::Send(wrong),
        |path, _| Act::Send(path.file[..path.file.len() - 1].to_vec()),
        |path, _| Act::Send([&path.file[..], b"x"].concat()),
        |path, _| Act::Promise(path.file.len(), path.file[..path.file.len() - 1].to_vec()),
        |_, _| Act::Status(500),
    ];
    for act in acts {
        let site = asking(&[&upstream]);
        let path = Path::incompressible("wrong", 300_000);
        upstream.has(&path);
        upstream.on_nar(&path, act(&path, wrong(&path)));
        never_gets_the_nar(&site, &path);
    }
}

#[test]
fn a_file_that_is_what_it_says_but_not_the_nar_that_was_signed_never_arrives_whole() {
    let upstream = Upstream::start();
    let site = asking(&[&upstream]);
    let (path, other) = (Path::incompressible("signed", 300_000), Path::incompressible("other", 300_000));
    let file_of_other = upstream
        .narinfo(&path)
        .replace(&path.file_hash_nix32(), &other.file_hash_nix32())
        .replace(&format!("FileSize: {}", path.file.len()), &format!("FileSize: {}", other.file.len()));
    upstream.on_narinfo(&path, Act::Send(file_of_other.into_bytes()));
    upstream.on_nar(&other, Act::Send(other.file.clone()));
    never_gets_the_nar(&site, &path);
    assert_eq!(upstream.asked(&format!("/{}", other.file_url())), 1);
}

#[test]
fn the_next_one_is_asked_for_the_file_that_a_liar_did_not_give() {
    let (liar, honest) = (Upstream::start(), Upstream::start());
    let site = asking(&[&liar, &honest]);
    let path = Path::incompressible("precious", 300_000);
    liar.has(&path);
    let mut wrong = path.file.clone();
    wrong[200_000] ^= 1;
    liar.on_nar(&path, Act::Send(wrong));
    let info = site.reader("pub").narinfo(&path);
    honest.has(&path);
    let target = format!("/{}", info.url);
    assert!(site.cache("pub").get(&target).try_send().is_err(), "the liar's bytes arrive");
    // The reader tries again.
    let reply = site.cache("pub").get(&target).send().expect(200);
    assert!(reply.body == path.file);
    assert_eq!(liar.asked(&format!("/{}", path.file_url())), 1);
}

#[test]
fn a_file_that_breaks_off_is_fetched_on_from_the_next_one() {
    let (dying, healthy) = (Upstream::start(), Upstream::start());
    let site = asking(&[&dying, &healthy]);
    let path = Path::incompressible("broken-off", 300_000);
    dying.has(&path);
    dying.on_nar(&path, Act::Promise(path.file.len(), path.file[..100_000].to_vec()));
    let info = site.reader("pub").narinfo(&path);
    healthy.has(&path);
    let target = format!("/{}", info.url);
    let reply = site.cache("pub").get(&target).send().expect(200);
    assert!(reply.body == path.file);
    assert_eq!(healthy.asked(&format!("/{}", path.file_url())), 1);

    // One that is alone in having it is asked for the rest, as long as it is worth it.
    let alone = Path::incompressible("alone", 300_000);
    dying.has(&alone);
    let file = format!("/{}", alone.file_url());
    dying.on_nar(&alone, Act::Promise(alone.file.len(), alone.file[..100_000].to_vec()));
    let info = site.reader("pub").narinfo(&alone);
    assert!(site.cache("pub").get(&format!("/{}", info.url)).try_send().is_err());
    assert_eq!(dying.asked(&file), 2);
}

#[test]
fn a_wrong_beginning_is_not_made_good_by_the_rest() {
    let (liar, honest) = (Upstream::start(), Upstream::start());
    let site = asking(&[&liar, &honest]);
    let path = Path::incompressible("mixed", 300_000);
    liar.has(&path);
    let mut wrong = path.file[..100_000].to_vec();
    wrong[50_000] ^= 1;
    liar.on_nar(&path, Act::Promise(path.file.len(), wrong));
    let info = site.reader("pub").narinfo(&path);
    honest.has(&path);
    let target = format!("/{}", info.url);
    assert!(site.cache("pub").get(&target).try_send().is_err(), "the liar's bytes arrive");
    // The liar is left alone then, and not the one that came to help.
    let reply = site.cache("pub").get(&target).send().expect(200);
    assert!(reply.body == path.file);
    assert_eq!(liar.asked(&format!("/{}", path.file_url())), 1);
    assert_eq!(honest.asked(&format!("/{}", path.file_url())), 2);
}

#[test]
fn a_reader_goes_on_where_it_was_cut_off() {
    let upstream = Upstream::start();
    let site = asking(&[&upstream]);
    let path = Path::incompressible("resumed", 300_000);
    upstream.has(&path);
    let info = site.reader("pub").narinfo(&path);
    let get = |range: &str| site.cache("pub").get(&format!("/{}", info.url)).header("range", range).send();
    // To verify the rest costs as much as the whole, so nobody gets it who has not begun to read.
    assert!(get("bytes=100000-").expect(200).body == path.file);
    let rest = get("bytes=100000-").expect(206);
    assert!(rest.body == path.file[100_000..]);
    let length = path.file.len();
    assert_eq!(rest.header("content-range"), Some(format!("bytes 100000-{}/{length}", length - 1).as_str()));
    assert_eq!(rest.header("accept-ranges"), Some("bytes"));
    // Only what reaches the end is known to be right.
    for range in ["bytes=0-99", "bytes=100-199", "bytes=0-"] {
        assert!(get(range).expect(200).body == path.file, "{range}");
    }
    let mut wrong = path.file.clone();
    wrong[10] ^= 1;
    upstream.on_nar(&path, Act::Send(wrong));
    // The transfers above may be resumed.
    let wrong = site.cache("pub").get(&format!("/{}", info.url)).header("range", "bytes=100000-").try_send();
    assert!(wrong.is_err(), "the end of something wrong arrives");
}

#[test]
fn upstreams_that_do_not_answer_cost_a_moment() {
    let upstream = Upstream::start();
    let acts = [Act::Hang, Act::Drip(vec![b'x'; 1000]), Act::Status(500)];
    for act in acts {
        let site = asking(&[&upstream]);
        let path = Path::small("awaited");
        upstream.on_narinfo(&path, act);
        wait_for(SOON, "it is given up", || match site.reader("pub").narinfo_status(&path) {
            404 => Some(()),
            status => {
                assert_eq!(status, 503);
                None
            }
        });
    }
}

#[test]
fn more_readers_than_nars_are_passed_on_at_once_wait_for_their_turn() {
    let upstream = Upstream::start();
    let site = asking(&[&upstream]);
    // More than fits into the buffers of a connection.
    let path = Path::incompressible("popular", 8_000_000);
    upstream.has(&path);
    let target = format!("/{}", site.reader("pub").narinfo(&path).url);
    std::thread::scope(|scope| {
        for _ in 0..150 {
            scope.spawn(|| {
                let mut reply = site.cache("pub").get(&target).open().unwrap();
                assert_eq!(reply.read_some(1).unwrap().len(), 1);
                std::thread::sleep(Duration::from_secs(1));
                assert!(reply.into_response().unwrap().expect(200).body.len() == path.file.len() - 1);
            });
        }
    });
}

#[test]
fn readers_who_ask_at_once_cause_one_question() {
    let upstream = Upstream::start();
    let site = asking(&[&upstream]);
    let (present, absent) = (Path::small("wanted"), Path::small("unheard-of"));
    upstream.has(&present);
    let reader = site.reader("pub");
    // That somebody has it is remembered for longer than that nobody does.
    for (path, status, readers) in [(&present, 200, 500), (&absent, 404, 50)] {
        std::thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| assert_eq!(reader.narinfo_status(path), status));
            }
        });
        assert_eq!(upstream.asked(&format!("/{}.narinfo", path.hash)), 1);
    }
    // That nobody has it is not believed for long.
    upstream.has(&absent);
    wait_for(SOON, "it is found", || (reader.narinfo_status(&absent) == 200).then_some(()));
}

#[test]
fn the_ends_of_files_from_elsewhere_cost_no_more_than_a_few_times_what_is_sent() {
    let upstream = Upstream::start();
    let site = asking(&[&upstream]);
    let path = Path::incompressible("amplified", 300_000);
    upstream.has(&path);
    let target = format!("/{}", site.reader("pub").narinfo(&path).url);
    let mut received = 0;
    for _ in 0..20 {
        let reply = site.cache("pub").get(&target).header("range", "bytes=299990-").send();
        received += reply.body.len();
    }
    let fetched = upstream.asked(&format!("/{}", path.file_url())) * path.file.len();
    assert!(fetched <= 6 * received, "{fetched} bytes were fetched for {received} that were sent");
}
