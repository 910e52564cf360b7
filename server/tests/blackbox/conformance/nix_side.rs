//! What Nix asks of a cache: tests 60 to 71. Test 72, Nix itself, is the module `nix_client`.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::harness::path::random_hash;
use crate::harness::site::HOST;
use crate::harness::{Compression, Framing, NarInfo, Path, Permission, Site};

#[test]
fn t60_a_cache_introduces_itself_to_nix() {
    let site = Site::with(|config| config["caches"][0]["priority"] = json!(17));
    let reply = site.cache("pub").get("/nix-cache-info").send().expect(200);
    assert_eq!(reply.header("Content-Type"), Some("text/x-nix-cache-info"));
    let lines: Vec<&str> = reply.text().lines().collect();
    assert!(lines.contains(&"StoreDir: /nix/store"), "{lines:?}");
    assert!(lines.contains(&"WantMassQuery: 1"), "{lines:?}");
    assert!(lines.contains(&"Priority: 17"), "{lines:?}");

    let expected = reply.text().to_owned();
    assert_eq!(site.cache_port("pub").get("/nix-cache-info").send().expect(200).text(), expected);
    let below_api = site.api().get("/api/v1/cache/pub/nix-cache-info").send().expect(200);
    assert_eq!(below_api.text(), expected);
}

#[test]
fn t61_a_narinfo_keeps_to_the_strict_rules_and_is_signed() {
    let site = Site::start();
    let dependency = Path::small("dependency");
    let path = Path::small("full+name?=1.0_x.y")
        .referring_to([dependency.base_name()])
        .derived_by(&format!("{}-full.drv", random_hash()));
    site.pusher("pub").push(&dependency);
    site.pusher("pub").push(&path);
    let key = site.public_key("pub");
    for target in [
        site.cache("pub").get(&format!("/{}.narinfo", path.hash)),
        site.cache_port("pub").get(&format!("/{}.narinfo", path.hash)),
        site.api().get(&format!("/api/v1/cache/pub/{}.narinfo", path.hash)),
    ] {
        let reply = target.send().expect(200);
        assert_eq!(reply.header("Content-Type"), Some("text/x-nix-narinfo"));
        assert!(matches!(reply.framing, Framing::Length(_)));
        let info = NarInfo::parse(reply.text());
        assert_eq!(info.store_path, path.store_path());
        assert_eq!(info.references, path.references);
        assert!(info.is_signed_by(&key));
    }
    site.reader("pub").assert_has(&path);
    let port = crate::harness::read::Reader::new(site.cache_port("pub"));
    port.assert_has(&path);
    let below_api = crate::harness::read::Reader::new(site.api()).below("/api/v1/cache/pub");
    below_api.assert_has(&path);
}

#[test]
fn t62_absent_is_404_and_present_is_200_for_get_and_head() {
    let site = Site::start();
    let path = Path::small("present");
    site.pusher("pub").push(&path);
    for endpoint in [site.cache("pub"), site.cache_port("pub")] {
        for (hash, status) in [(path.hash.clone(), 200), (random_hash(), 404)] {
            let target = format!("/{hash}.narinfo");
            let get = endpoint.get(&target).send().expect(status);
            let head = endpoint.head(&target).send().expect(status);
            assert_eq!(head.header("Content-Length"), get.header("Content-Length"));
            assert_eq!(head.header("Content-Type"), get.header("Content-Type"));
        }
        for no_hash in ["short", &"e".repeat(32), &path.hash.to_uppercase(), &format!("{}x", path.hash), ""] {
            endpoint.get(&format!("/{no_hash}.narinfo")).send().expect(404);
        }
    }
    // A path of one cache is not a path of its neighbour.
    site.cache("my-cache-2").get(&format!("/{}.narinfo", path.hash)).send().expect(404);
}

#[test]
fn t63_compression_has_nixs_name_and_the_url_its_extension() {
    let site = Site::start();
    for (compression, name, extension) in
        [(Compression::Zstd, "zstd", ".nar.zst"), (Compression::Xz, "xz", ".nar.xz")]
    {
        let path = Path::small("compressed").compressed_with(compression);
        site.pusher("pub").push(&path);
        let info = site.reader("pub").narinfo(&path);
        assert_eq!(info.compression, name);
        assert!(info.url.starts_with("nar/") && info.url.ends_with(extension), "{}", info.url);
    }
}

#[test]
fn t64_the_nar_is_what_its_narinfo_says() {
    let site = Site::start();
    // Below and above whatever the daemon reads in one go.
    for size in [0, 1, 1000, 300_000, 5_000_000] {
        let path = Path::incompressible("sized", size);
        site.pusher("pub").push(&path);
        let info = site.reader("pub").assert_has(&path);
        let reply = site.cache("pub").get(&format!("/{}", info.url)).send().expect(200);
        assert_eq!(reply.framing, Framing::Length(info.file_size));
        assert_eq!(Sha256::digest(&reply.body).to_vec(), info.file_hash_bytes());
        assert_eq!(reply.header("Accept-Ranges"), Some("bytes"));
        let caching = reply.header("Cache-Control").expect("NARs never change");
        assert!(caching.contains("immutable") && caching.contains("max-age="), "{caching}");
        let kind = reply.header("Content-Type").unwrap_or_default();
        assert!(matches!(kind, "application/x-nix-nar" | "application/octet-stream"), "{kind}");
    }
}

#[test]
fn t65_ranges_are_served_and_head_works() {
    let site = Site::start();
    let path = Path::incompressible("ranged", 600_000);
    site.pusher("pub").push(&path);
    let url = format!("/{}", site.reader("pub").narinfo(&path).url);
    let reply = site.cache("pub").get(&url).header("Range", "bytes=100-").send().expect(206);
    let total = path.file.len();
    assert_eq!(reply.header("Content-Range"), Some(format!("bytes 100-{}/{total}", total - 1).as_str()));
    assert!(reply.body == path.file[100..]);
    let head = site.cache("pub").head(&url).send().expect(200);
    assert_eq!(head.header("Content-Length"), Some(total.to_string().as_str()));
    site.cache("pub")
        .head("/nar/0000000000000000000000000000000000000000000000000000.nar.xz")
        .send()
        .expect(404);
}

#[test]
fn t66_a_nar_is_never_content_encoded() {
    let site = Site::start();
    let path = Path::small("plain");
    site.pusher("pub").push(&path);
    let url = format!("/{}", site.reader("pub").narinfo(&path).url);
    let request = site.cache("pub").get(&url).header("Accept-Encoding", "gzip, zstd, br, deflate");
    let reply = request.send().expect(200);
    assert_eq!(reply.header("Content-Encoding"), None);
    assert!(reply.body == path.file);
}

#[test]
fn t67_a_private_cache_takes_its_token_in_any_dress() {
    let site = Site::start();
    let path = Path::small("private");
    site.pusher("priv").push(&path);
    let token = site.token("priv", Permission::Read);
    let foreign = site.token("pub", Permission::Write);
    let url = format!("/{}", site.reader("priv").assert_has(&path).url);
    for endpoint in [site.cache("priv"), site.cache_port("priv")] {
        for target in ["/nix-cache-info", &format!("/{}.narinfo", path.hash), &url] {
            endpoint.get(target).send().expect(401);
            endpoint.head(target).send().expect(401);
            endpoint.get(target).basic("", &token).send().expect(200);
            endpoint.get(target).basic("anyone", &token).send().expect(200);
            endpoint.get(target).bearer(&token).send().expect(200);
            endpoint.get(target).basic("", &foreign).send().expect(401);
            endpoint.get(target).basic("", "").send().expect(401);
            endpoint.get(target).basic(&token, "").send().expect(401);
            endpoint.get(target).bearer("").send().expect(401);
        }
        // What only some may read is not for shared caches on the way.
        let caching = endpoint.get(&url).basic("", &token).send().expect(200);
        let caching = caching.header("Cache-Control").unwrap_or_default().to_owned();
        assert!(!caching.contains("public"), "{caching}");
        // Without a token nobody learns which paths there are.
        endpoint.get(&format!("/{}.narinfo", random_hash())).send().expect(401);
    }
    // Those of agents: deploy/tokens.rs.
}

#[test]
fn t68_an_unknown_cache_has_no_host() {
    let site = Site::start();
    site.on_host(&format!("nope.{HOST}")).get("/nix-cache-info").send().expect(404);
    site.on_host(&format!("a.pub.{HOST}")).get("/nix-cache-info").send().expect(404);
    site.on_host(HOST).get("/nix-cache-info").send().expect(404);
    // Host names know no case and may carry a port.
    site.on_host(&format!("PUB.{}:80", HOST.to_uppercase())).get("/nix-cache-info").send().expect(200);
}

/// Everything beside narinfo and NAR that Nix may ask for.
const EXTRAS: [&str; 8] = [
    "/00000000000000000000000000000000.ls",
    "/log/00000000000000000000000000000000-x.drv",
    "/log/x.drv",
    "/realisations/sha256:0000000000000000000000000000000000000000000000000000000000000000!out.doi",
    "/realisations/x!out.doi",
    "/build-trace-v2/x.drv/out.doi",
    "/debuginfo/0123456789abcdef0123456789abcdef01234567.debug",
    "/nar/0000000000000000000000000000000000000000000000000000.nar.zst",
];

#[test]
fn t69_extras_that_are_absent_are_404() {
    let site = Site::start();
    for endpoint in [site.cache("pub"), site.cache_port("pub")] {
        for target in EXTRAS {
            endpoint.get(target).send().expect(404);
            endpoint.head(target).send().expect(404);
            endpoint.get(&target.replace('!', "%21")).send().expect(404);
        }
    }
    for target in EXTRAS {
        site.cache("priv").get(target).send().expect(401);
        site.cache("priv").get(target).basic("", &site.token("priv", Permission::Read)).send().expect(404);
    }
}

#[test]
fn t70_an_etag_saves_the_body_and_nothing_else_does() {
    let site = Site::start();
    let path = Path::small("tagged");
    site.pusher("pub").push(&path);
    let target = format!("/{}.narinfo", path.hash);
    let reply = site.cache("pub").get(&target).send().expect(200);
    let etag = reply.header("ETag").expect("a narinfo has an ETag").to_owned();
    let with = |value: &str| site.cache("pub").get(&target).header("If-None-Match", value).send();
    let same = with(&etag);
    assert!(matches!(same.status, 200 | 304), "{}", same.status);
    if same.status == 304 {
        assert_eq!(same.header("ETag"), Some(etag.as_str()));
        with(&format!("\"other\", {etag}")).expect(304);
        with(&format!("W/{etag}")).expect(304);
        with("*").expect(304);
    }
    with("\"other\"").expect(200);
    site.cache("pub").get(&target).send().expect(200);
    let absent = format!("/{}.narinfo", random_hash());
    site.cache("pub").get(&absent).header("If-None-Match", &etag).send().expect(404);
}

#[test]
fn t71_nothing_outside_the_cache_can_be_reached() {
    let site = Site::start();
    let path = Path::small("inside");
    site.pusher("pub").push(&path);
    site.pusher("priv").push(&path);
    let private = format!("priv/nar/{}.nar.zst", path.file_hash_hex());
    let targets = [
        "/nar/../x".to_owned(),
        "/nar/../nix-cache-info".to_owned(),
        "/nar/%2e%2e/nix-cache-info".to_owned(),
        "/nar/..%2fnix-cache-info".to_owned(),
        "/nar/../../state/db.sqlite".to_owned(),
        "/%2e%2e/%2e%2e/state/db.sqlite".to_owned(),
        "/..%2f..%2fconfig.yaml".to_owned(),
        "/log/..%2f..%2f..%2fconfig.yaml".to_owned(),
        "/log/%2e%2e".to_owned(),
        "/log/.".to_owned(),
        "/realisations/..%2f..%2f..%2fconfig.yaml!out.doi".to_owned(),
        "/build-trace-v2/../nix-cache-info".to_owned(),
        "/build-trace-v2/%2e%2e/%2e%2e.doi".to_owned(),
        "/debuginfo/..%2fnix-cache-info.debug".to_owned(),
        "/nar//etc/passwd".to_owned(),
        "//etc/passwd".to_owned(),
        "/nar/%00".to_owned(),
        "/.spool".to_owned(),
        "/.spool/".to_owned(),
        "/nar".to_owned(),
        "/nar/".to_owned(),
        format!("/../{private}"),
        format!("/%2e%2e/{private}"),
        format!("/nar/..%2f..%2f{}", private.replace('/', "%2f")),
        format!("/serve/{}/../../../../etc/passwd", path.hash),
        format!("/serve/{}/%2e%2e/%2e%2e/nix-cache-info", path.hash),
        format!("/serve/{}/bin/..%2f..%2fnote", path.hash),
    ];
    for endpoint in [site.cache("pub"), site.cache_port("pub")] {
        for target in &targets {
            let status = endpoint.get(target).send().status;
            assert_eq!(status, 404, "{target}");
        }
    }
    for target in &targets {
        let status = site.api().get(&format!("/api/v1/cache/pub{target}")).send().status;
        assert!(matches!(status, 404 | 405), "{status} for /api/v1/cache/pub{target}");
    }
}
