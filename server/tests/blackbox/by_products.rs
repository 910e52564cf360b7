//! What the daemon makes of a NAR at upload beside keeping it, and the small files that Nix keeps beside NARs.

use nix_formats::SigningKey;
use serde_json::{Value, json};

use crate::harness::http::percent_encode;
use crate::harness::path::random_hash;
use crate::harness::random_bytes;
use crate::harness::{Compression, Node, Path, Permission, SOON, Site, noise, to_hex, wait_for};

/// Where some bytes stand in a NAR.
fn offset(nar: &[u8], contents: &[u8]) -> usize {
    nar.windows(contents.len()).position(|window| window == contents).expect("the contents are there")
}

#[test]
fn a_listing_is_made_of_every_nar() {
    let site = Site::start();
    let tree = Node::directory([
        ("a-program", Node::program("#!/bin/sh\n: unique program\n")),
        ("data", Node::file("unique data\n")),
        ("empty", Node::directory([])),
        ("empty-file", Node::file("")),
        ("link", Node::symlink("share/../data")),
        ("share", Node::directory([("umläut \"quoted\"", Node::file("unique share\n"))])),
    ]);
    for compression in [Compression::Zstd, Compression::Xz] {
        let path = Path::of("listed", &tree).compressed_with(compression);
        site.pusher("pub").push(&path);
        let reply = site.reader("pub").get(&format!("{}.ls", path.hash)).expect(200);
        let mut listing = reply.json();
        // Nothing is at the place where an empty file has its contents, so nothing can be compared with it.
        let entries = listing["root"]["entries"].as_object_mut().unwrap();
        let nowhere = entries["empty-file"].as_object_mut().unwrap().remove("narOffset");
        assert!(nowhere.is_none_or(|offset| offset.is_u64()));
        let place = |contents: &str| offset(&path.nar, contents.as_bytes());
        let expected = json!({"version": 1, "root": {"type": "directory", "entries": {
            "a-program": {"type": "regular", "size": 27, "executable": true,
                "narOffset": place("#!/bin/sh\n: unique program\n")},
            "data": {"type": "regular", "size": 12, "narOffset": place("unique data\n")},
            "empty": {"type": "directory", "entries": {}},
            "empty-file": {"type": "regular", "size": 0},
            "link": {"type": "symlink", "target": "share/../data"},
            "share": {"type": "directory", "entries": {
                "umläut \"quoted\"": {"type": "regular", "size": 13, "narOffset": place("unique share\n")},
            }},
        }}});
        assert_eq!(listing, expected);
    }
}

#[test]
fn a_nar_of_a_single_file_has_a_listing_too() {
    let site = Site::start();
    let path = Path::of("single", &Node::file("just a file\n"));
    site.pusher("pub").push(&path);
    let listing = site.reader("pub").get(&format!("{}.ls", path.hash)).expect(200).json();
    let file = json!({"type": "regular", "size": 12, "narOffset": offset(&path.nar, b"just a file\n")});
    assert_eq!(listing, json!({"version": 1, "root": file}));
}

#[test]
fn debug_info_is_found_by_build_id() {
    let site = Site::start();
    let build_id = to_hex(&random_bytes::<20>());
    let (start, rest) = build_id.split_at(2);
    let member = format!("{rest}.debug");
    let files = Node::directory([
        (member.as_str(), Node::file("debug symbols")),
        ("not-a-build-id.debug", Node::file("something else")),
    ]);
    let tree = Node::directory([(
        "lib",
        Node::directory([("debug", Node::directory([(".build-id", Node::directory([(start, files)]))]))]),
    )]);
    let path = Path::of("with-debug-info", &tree);
    site.pusher("pub").push(&path);

    let reply = site.reader("pub").get(&format!("debuginfo/{build_id}.debug")).expect(200).json();
    assert_eq!(reply["member"], format!("lib/debug/.build-id/{start}/{rest}.debug"));
    let archive = reply["archive"].as_str().unwrap();
    assert_eq!(archive, format!("../{}", site.reader("pub").narinfo(&path).url));
    // Some clients ask without the extension.
    let other = to_hex(&random_bytes::<20>());
    assert_eq!(site.reader("pub").get(&format!("debuginfo/{other}.debug")).status, 404);
}

#[test]
fn a_single_file_is_served_out_of_a_nar() {
    let site = Site::start();
    let large = noise(2_000_000);
    let tree = Node::directory([
        ("index.html", Node::file("<script>alert(1)</script>")),
        ("large", Node::file(large.clone())),
        ("link", Node::symlink("index.html")),
        ("share", Node::directory([("with blank", Node::file("found\n")), ("empty", Node::file(""))])),
    ]);
    for compression in [Compression::Zstd, Compression::Xz] {
        let path = Path::of("served", &tree).compressed_with(compression);
        site.pusher("pub").push(&path);
        let below_api = crate::harness::read::Reader::new(site.api()).below("/api/v1/cache/pub");
        let port = crate::harness::read::Reader::new(site.cache_port("pub"));
        for reader in [site.reader("pub"), below_api, port] {
            let get = |file: &str| reader.get(&format!("serve/{}/{file}", path.hash));
            let page = get("index.html").expect(200);
            assert_eq!(page.text(), "<script>alert(1)</script>");
            assert_eq!(page.header("X-Content-Type-Options"), Some("nosniff"));
            assert_eq!(page.header("Content-Type"), Some("application/octet-stream"));
            // The path may be deleted and pushed again with other contents.
            assert!(!page.header("Cache-Control").unwrap().contains("immutable"));
            let known =
                reader.get(&format!("serve/{}/index.html", path.hash)).header("ETag").unwrap().to_owned();
            let url = format!("/serve/{}/index.html", path.hash);
            site.cache("pub").get(&url).header("If-None-Match", &known).send().expect(304);
            assert!(get("large").expect(200).body == large);
            assert_eq!(get(&format!("share/{}", percent_encode("with blank"))).expect(200).text(), "found\n");
            assert!(get("share/empty").expect(200).body.is_empty());
            for absent in
                ["absent", "share", "share/", "", "share/absent", "index.html/below", "link", "link/x"]
            {
                assert_eq!(get(absent).status, 404, "{absent}");
            }
        }
        assert_eq!(site.reader("pub").get(&format!("serve/{}/index.html", random_hash())).status, 404);
    }
    site.cache("priv").get(&format!("/serve/{}/x", random_hash())).send().expect(401);
}

#[test]
fn a_single_file_at_the_root_is_served_as_the_path_itself() {
    let site = Site::start();
    let path = Path::of("script.sh", &Node::program("echo hello\n"));
    site.pusher("pub").push(&path);
    let reply = site.reader("pub").get(&format!("serve/{}", path.hash));
    assert!(matches!(reply.status, 200 | 404), "{}", reply.status);
    if reply.status == 200 {
        assert_eq!(reply.text(), "echo hello\n");
    }
}

#[test]
fn logs_are_kept_and_served() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    let log = format!("/log/{}-hello-1.0.drv", random_hash());
    let text = "building\nwarning: umläut\n";
    let put =
        |cache: &str, body: &str| site.cache(cache).put(&log).header("Content-Type", "text/plain").body(body);
    put("pub", text).send().expect(401);
    put("pub", text).basic("", &site.token("pub", Permission::Read)).send().expect(401);
    site.cache("pub").get(&log).send().expect(404);

    put("pub", text).basic("", &token).send().expect_success();
    let reply = site.cache("pub").get(&log).send().expect(200);
    assert_eq!(reply.text(), text);
    assert!(reply.header("Content-Type").unwrap().starts_with("text/plain"));
    site.cache("my-cache-2").get(&log).send().expect(404);

    // The same again is no mistake; another one is not taken, but from an administrator.
    put("pub", text).basic("", &token).send().expect_success();
    put("pub", "second\n").basic("", &token).send().expect(409);
    assert_eq!(site.cache("pub").get(&log).send().expect(200).text(), text);
    put("pub", "second\n").basic("", &site.token("pub", Permission::Admin)).send().expect_success();
    assert_eq!(site.cache("pub").get(&log).send().expect(200).text(), "second\n");

    put("priv", "private\n").basic("", &site.token("priv", Permission::Write)).send().expect_success();
    site.cache("priv").get(&log).send().expect(401);
    site.cache("priv").get(&log).basic("", &site.token("priv", Permission::Read)).send().expect(200);
}

/// `nix store copy-log` with `log-compression` sends the log encoded.
#[test]
fn an_encoded_log_is_readable() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    let text = "building\n".repeat(10_000);
    for (encoding, bytes) in [
        ("xz", Compression::Xz.compress(text.as_bytes())),
        ("zstd", Compression::Zstd.compress(text.as_bytes())),
    ] {
        let log = format!("/log/{}-hello-1.0.drv", random_hash());
        let put = site
            .cache("pub")
            .put(&log)
            .header("Content-Encoding", encoding)
            .basic("", &token)
            .body(bytes.clone());
        put.send().expect_success();
        let reply = site.cache("pub").get(&log).send().expect(200);
        match reply.header("Content-Encoding") {
            None => assert_eq!(reply.text(), text),
            Some(kept) => {
                assert_eq!(kept, encoding);
                assert!(reply.body == bytes);
            }
        }
    }
}

#[test]
fn realisations_are_kept_and_served() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    let digest = to_hex(&random_bytes::<32>());
    let drv = format!("{}-ca.drv", random_hash());
    let id = format!("sha256:{digest}!out");
    let out_path = format!("{}-ca", random_hash());
    let old = json!({"id": id, "outPath": out_path, "signatures": [], "dependentRealisations": {}});
    let new = json!({"outPath": out_path, "signatures": []});
    for (target, body) in
        [(format!("/realisations/{id}.doi"), old), (format!("/build-trace-v2/{drv}/out.doi"), new)]
    {
        let put = |token: &str| site.cache("pub").put(&target).basic("", token).json(&body).send();
        put("").expect(401);
        put(&site.token("pub", Permission::Read)).expect(401);
        put(&token).expect_success();
        // The cache has signed it.
        let signed = site.cache("pub").get(&target).send().expect(200).json();
        assert_eq!(signed["signatures"].as_array().unwrap().len(), 1, "{signed}");
        let expected = merged(&body, &signed);
        for spelling in [target.clone(), target.replace('!', "%21").replace(':', "%3A")] {
            assert_eq!(site.cache("pub").get(&spelling).send().expect(200).json(), expected, "{spelling}");
        }
        put(&token).expect_success();
        let other = json!({"id": id, "outPath": format!("{}-evil", random_hash()), "signatures": []});
        site.cache("pub").put(&target).basic("", &token).json(&other).send().expect(409);
        for broken in ["no json", "{}", r#"{"outPath": "/nix/store/x"}"#] {
            site.cache("pub").put(&target).basic("", &token).body(broken).send().expect_refusal();
        }
        // The signature of a builder is kept beside it.
        let builder = SigningKey::generate("builder-1").unwrap().sign("text").to_string();
        let mut with_builder = body.clone();
        with_builder["signatures"] = json!([builder]);
        let put = site.cache("pub").put(&target).basic("", &token).json(&with_builder);
        put.send().expect_success();
        let mut expected = expected;
        expected["signatures"].as_array_mut().unwrap().push(builder.into());
        assert_eq!(site.cache("pub").get(&target).send().expect(200).json(), expected);
    }
    // A file name that says something else than the file.
    let target = format!("/realisations/sha256:{}!out.doi", to_hex(&random_bytes::<32>()));
    let other = json!({"id": id, "outPath": out_path, "signatures": []});
    site.cache("pub").put(&target).basic("", &token).json(&other).send().expect(400);
}

/// A realisation with the signatures of another one.
fn merged(body: &Value, signed: &Value) -> Value {
    let mut body = body.clone();
    body["signatures"] = signed["signatures"].clone();
    body
}

#[test]
fn a_realisation_gets_the_signature_of_a_key_that_is_added_later() {
    let site = Site::start();
    let target = format!("/build-trace-v2/{}-ca.drv/out.doi", random_hash());
    let body = json!({"outPath": format!("{}-ca", random_hash())});
    let put = site.cache("pub").put(&target).basic("", &site.token("pub", Permission::Write));
    put.json(&body).send().expect_success();
    site.cachectl_ok(&["key", "add", "--cache", "pub"]);
    let signed = site.cache("pub").get(&target).send().expect(200).json();
    assert_eq!(signed["signatures"].as_array().unwrap().len(), 2, "{signed}");
}

/// By-products may be written after `complete` has answered, but they come by themselves, even after a crash.
#[test]
fn by_products_survive_a_crash_right_after_complete() {
    let mut site = Site::start();
    let path = Path::small("listed");
    site.pusher("pub").push(&path);
    site.crash_and_restart();
    wait_for(SOON, "the listing is there", || {
        (site.reader("pub").get(&format!("{}.ls", path.hash)).status == 200).then_some(())
    });
}

/// Names in a NAR are bytes. Nix makes no listing of such a path, and neither do we.
#[test]
fn a_file_whose_name_is_no_utf8_is_served_by_its_percent_encoded_name() {
    let site = Site::start();
    let tree = Node::directory([
        ("deep_X", Node::directory([("netlock_X", Node::file("certificate"))])),
        ("plain", Node::file("plain")),
    ]);
    let mut nar = tree.to_nar();
    for name in [&b"deep_X"[..], b"netlock_X"] {
        let at = nar.windows(name.len()).position(|bytes| bytes == name).unwrap();
        nar[at + name.len() - 1] = 0xb1;
    }
    let path = Path::of_nar("certificates", nar, Compression::Zstd);
    site.pusher("pub").push(&path);
    let reader = site.reader("pub");
    reader.assert_has(&path);
    let get = |file: &str| reader.get(&format!("serve/{}/{file}", path.hash));
    assert_eq!(get("plain").expect(200).body, b"plain");
    for name in ["deep_%b1/netlock_%b1", "deep_%B1/%6eetlock_%b1"] {
        assert_eq!(get(name).expect(200).body, b"certificate");
    }
    for name in ["deep_%b2/netlock_%b1", "deep_/netlock_%b1", "deep_%c2%b1/netlock_%b1", "%b1", "deep_%b1"] {
        assert_eq!(get(name).status, 404, "{name}");
    }
}
