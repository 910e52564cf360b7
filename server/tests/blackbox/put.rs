//! `nix copy --to http://…`: plain PUTs of NAR, narinfo and listing (recording 21 shows their order).

use std::io::{BufReader, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::json;

use crate::harness::site::HOST;
use crate::harness::{
    Compression, Endpoint, Incoming, NarInfo, Path, Permission, Response, Site, random_bytes,
};

/// A writer who speaks to the cache at NAME.HOST.
struct Writer {
    endpoint: Endpoint,
    token: String,
}

impl Writer {
    fn new(site: &Site, cache: &str) -> Self {
        Self { endpoint: site.cache(cache), token: site.token(cache, Permission::Write) }
    }

    fn put(&self, target: &str, kind: &str, body: impl Into<Vec<u8>>) -> Response {
        let request = self.endpoint.put(target).header("Content-Type", kind).basic("", &self.token);
        request.body(body).send()
    }

    fn nar(&self, path: &Path) -> Response {
        self.put(&format!("/{}", path.file_url()), "application/x-nix-nar", path.file.clone())
    }

    fn narinfo(&self, path: &Path, text: &str) -> Response {
        self.put(&format!("/{}.narinfo", path.hash), "text/x-nix-narinfo", text)
    }
}

#[test]
fn a_nar_and_its_narinfo_make_a_path() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    for compression in [Compression::Zstd, Compression::Xz] {
        let path = Path::small("copied").compressed_with(compression);
        writer.nar(&path).expect_success();
        assert_eq!(site.reader("pub").narinfo_status(&path), 404, "not before its narinfo is here");
        writer.narinfo(&path, &path.narinfo_text()).expect_success();
        let info = site.reader("pub").assert_has(&path);
        assert!(info.is_signed_by(&site.public_key("pub")));
        let listing = site.reader("pub").get(&format!("{}.ls", path.hash)).expect(200).json();
        assert_eq!(listing["root"]["entries"]["tool"], json!({"type": "symlink", "target": "bin/tool"}));
        site.wait_for_empty_spool("pub");
    }
}

#[test]
fn the_same_puts_again_change_nothing() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    let path = Path::small("again");
    writer.nar(&path).expect_success();
    writer.nar(&path).expect_success();
    writer.narinfo(&path, &path.narinfo_text()).expect_success();
    let info = site.reader("pub").assert_has(&path);
    writer.narinfo(&path, &path.narinfo_text()).expect_success();
    writer.nar(&path).expect_success();
    writer.narinfo(&path, &path.narinfo_text()).expect_success();
    assert_eq!(site.reader("pub").assert_has(&path), info);
    site.wait_for_empty_spool("pub");
}

#[test]
fn a_nar_that_another_path_brought_can_be_referred_to() {
    let site = Site::start();
    let first = Path::small("first");
    site.pusher("pub").push(&first);
    let second = Path { hash: crate::harness::path::random_hash(), ..first.clone() };
    Writer::new(&site, "pub").narinfo(&second, &second.narinfo_text()).expect_success();
    site.reader("pub").assert_has(&second);
}

#[test]
fn putting_needs_the_right_to_write() {
    let site = Site::start();
    let path = Path::small("unwelcome");
    let tokens = [
        String::new(),
        "recorded-wrong-token".to_owned(),
        site.token("pub", Permission::Read),
        site.token("priv", Permission::Write),
    ];
    for token in tokens {
        let writer = Writer { endpoint: site.cache("pub"), token };
        writer.nar(&path).expect(401);
        writer.narinfo(&path, &path.narinfo_text()).expect(401);
        writer.put(&format!("/{}.ls", path.hash), "application/json", "{}").expect(401);
    }
    let anonymous = site.cache("pub").put(&format!("/{}", path.file_url())).body(path.file.clone());
    let reply = anonymous.send().expect(401);
    assert!(reply.header("WWW-Authenticate").unwrap_or_default().starts_with("Basic"));
    site.reader("pub").assert_lacks(&path);
    site.wait_for_empty_spool("pub");
}

#[test]
fn a_narinfo_whose_nar_is_missing_is_refused() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    let path = Path::small("no-nar");
    writer.narinfo(&path, &path.narinfo_text()).expect_refusal();
    site.reader("pub").assert_lacks(&path);

    // A NAR of one cache is not a NAR of its neighbour.
    Writer::new(&site, "my-cache-2").nar(&path).expect_success();
    writer.narinfo(&path, &path.narinfo_text()).expect_refusal();
    site.reader("pub").assert_lacks(&path);
}

#[test]
fn a_narinfo_that_differs_from_its_nar_is_refused() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    let path = Path::small("differing");
    let other = Path::small("other");
    let text = path.narinfo_text();
    let line = |key: &str| text.lines().find(|line| line.starts_with(&format!("{key}: "))).unwrap();
    let replace = |key: &str, value: String| text.replace(line(key), &format!("{key}: {value}"));
    let wrong = [
        replace("NarHash", other.nar_hash()),
        replace("NarSize", (path.nar.len() + 8).to_string()),
        replace("FileHash", format!("sha256:{}", other.file_hash_nix32())),
        replace("FileSize", (path.file.len() + 1).to_string()),
        replace("StorePath", other.store_path()),
        replace("URL", other.file_url()),
        replace("URL", "http://evil.test/x.nar.zst".to_owned()),
        replace("URL", "../../etc/passwd".to_owned()),
        replace("URL", "nar/../../etc/passwd".to_owned()),
        replace("Compression", "xz".to_owned()),
        replace("Compression", "zst".to_owned()),
        replace("NarSize", "0".to_owned()),
        replace("References", format!("{}/../x", other.base_name())),
        text.replace("NarHash: ", "NoHash: "),
        format!("{text}{}\n", line("NarSize")),
        text.replace("StorePath: ", "StorePath:"),
        "no narinfo at all".to_owned(),
        String::new(),
    ];
    for wrong in wrong {
        writer.nar(&path).expect_success();
        let reply = writer.narinfo(&path, &wrong);
        assert!((400..500).contains(&reply.status), "{}: {wrong}", reply.status);
        assert_eq!(site.reader("pub").narinfo_status(&path), 404, "{wrong}");
        assert_eq!(site.reader("pub").narinfo_status(&other), 404, "{wrong}");
    }
    writer.nar(&path).expect_success();
    writer.narinfo(&path, &text).expect_success();
    site.reader("pub").assert_has(&path);
}

#[test]
fn a_nar_that_is_not_what_its_name_says_is_refused() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    let before = site.stored_files("pub");
    let path = Path::small("named");
    let other = Path::small("other");
    let target = format!("/{}", path.file_url());
    for wrong in [other.file.clone(), path.file[..path.file.len() - 1].to_vec(), Vec::new(), path.nar.clone()]
    {
        // It is noticed now, or at the latest when a narinfo refers to it.
        if writer.put(&target, "application/x-nix-nar", wrong).status < 300 {
            writer.narinfo(&path, &path.narinfo_text()).expect_refusal();
        }
        site.reader("pub").assert_lacks(&path);
        assert_eq!(site.stored_files("pub"), before);
    }
    for name in ["x.nar.zst", "../x.nar.zst", "%2e%2e/x", &format!("{}.nar.exe", "0".repeat(52)), ""] {
        writer.put(&format!("/nar/{name}"), "application/x-nix-nar", path.file.clone()).expect_refusal();
    }
}

#[test]
fn the_listing_served_is_made_of_the_nar_whatever_was_put() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    let path = Path::small("listed");
    let lie = json!({"version": 1, "root": {"type": "regular", "size": 1, "narOffset": 96}});
    let target = format!("/{}.ls", path.hash);
    // Nix puts it before NAR and narinfo.
    let early = writer.put(&target, "application/json", lie.to_string()).status;
    assert!(early < 500, "{early}");
    writer.nar(&path).expect_success();
    writer.narinfo(&path, &path.narinfo_text()).expect_success();
    writer.put(&target, "application/json", lie.to_string());
    let listing = site.reader("pub").get(&format!("{}.ls", path.hash)).expect(200).json();
    assert_eq!(listing["root"]["type"], "directory");
}

/// Nix's curl sends this for large bodies and waits for the answer before it sends the body.
#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let site = Site::start();
    let path = Path::incompressible("expected", 2_000_000);
    let put = |token: &str| {
        let request =
            site.cache("pub").put(&format!("/{}", path.file_url())).header("Expect", "100-continue");
        let head = request.basic("", token).body(path.file.clone()).head();
        let mut stream = site.cache("pub").connect().unwrap();
        stream.write_all(&head).unwrap();
        BufReader::new(stream)
    };
    let mut connection = put(&site.token("pub", Permission::Write));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut connection, &mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    std::io::BufRead::read_line(&mut connection, &mut line).unwrap();
    connection.get_mut().write_all(&path.file).unwrap();
    Incoming::read(connection, false).unwrap().into_response().unwrap().expect_success();
    Writer::new(&site, "pub").narinfo(&path, &path.narinfo_text()).expect_success();
    site.reader("pub").assert_has(&path);

    // One who may not write is told so before the body is on its way.
    let refused = Incoming::read(put("wrong"), false).unwrap();
    assert_eq!(refused.status, 401);
}

#[test]
fn chunked_bodies_are_taken() {
    let site = Site::start();
    let path = Path::incompressible("chunked", 200_000);
    let token = site.token("pub", Permission::Write);
    let nar = site.cache("pub").put(&format!("/{}", path.file_url())).basic("", &token);
    nar.chunked(path.file.clone(), 4099).send().expect_success();
    let narinfo = site.cache("pub").put(&format!("/{}.narinfo", path.hash)).basic("", &token);
    narinfo.chunked(path.narinfo_text(), 7).send().expect_success();
    site.reader("pub").assert_has(&path);
}

#[test]
fn every_address_of_a_cache_takes_puts() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    for (endpoint, prefix) in
        [(site.cache("pub"), ""), (site.cache_port("pub"), ""), (site.on_host(HOST), "/api/v1/cache/pub")]
    {
        let path = Path::small("anywhere");
        let put = |rest: &str, body: Vec<u8>| {
            endpoint.put(&format!("{prefix}/{rest}")).basic("", &token).body(body).send()
        };
        put(&path.file_url(), path.file.clone()).expect_success();
        put(&format!("{}.narinfo", path.hash), path.narinfo_text().into_bytes()).expect_success();
        site.reader("pub").assert_has(&path);
    }
}

/// `complete` without a valid signature is refused there, so a narinfo without one is, too.
#[test]
fn a_client_signed_cache_wants_the_clients_signature_in_a_put() {
    let site = Site::start();
    let key = crate::conformance::register_key(&site, "self");
    let writer = Writer::new(&site, "self");
    let path = Path::small("signed");
    writer.nar(&path).expect_success();
    writer.narinfo(&path, &path.narinfo_text()).expect_refusal();
    site.reader("self").assert_lacks(&path);

    writer.nar(&path).expect_success();
    let signed = format!("{}Sig: self.{HOST}-1:{}\n", path.narinfo_text(), path.signed_with(&key));
    writer.narinfo(&path, &signed).expect_success();
    let info = site.reader("self").assert_has(&path);
    assert_eq!(info.signatures.len(), 1);
    assert!(info.is_signed_by(&site.public_key("self")));
}

/// Newer versions of Nix compress narinfos if they are told to.
#[test]
fn a_compressed_narinfo_is_read_as_its_encoding_says() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    let put = |path: &Path, encoding: &str, body: Vec<u8>| {
        let target = format!("/{}.narinfo", path.hash);
        let request = writer.endpoint.put(&target).header("Content-Encoding", encoding);
        request.basic("", &writer.token).body(body).send()
    };
    let read = |mut reader: Box<dyn std::io::Read>| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    };
    let encode = |encoding: &str, text: Vec<u8>| match encoding {
        "zstd" => Compression::Zstd.compress(&text),
        "xz" => Compression::Xz.compress(&text),
        "br" => read(Box::new(brotli::CompressorReader::new(std::io::Cursor::new(text), 4096, 5, 20))),
        "gzip" | "x-gzip" | "GZIP" => {
            let level = flate2::Compression::default();
            read(Box::new(flate2::read::GzEncoder::new(std::io::Cursor::new(text), level)))
        }
        "bzip2" => {
            let level = bzip2::Compression::default();
            read(Box::new(bzip2::read::BzEncoder::new(std::io::Cursor::new(text), level)))
        }
        _ => text,
    };
    for encoding in ["zstd", "br", "gzip", "x-gzip", "GZIP", "xz", "bzip2", "identity", ""] {
        let path = Path::small("compressed");
        writer.nar(&path).expect_success();
        put(&path, encoding, encode(encoding, path.narinfo_text().into_bytes())).expect_success();
        site.reader("pub").assert_has(&path);
    }
    let path = Path::small("refused");
    writer.nar(&path).expect_success();
    let text = path.narinfo_text().into_bytes();
    let told = put(&path, "lzma", text.clone()).expect(415);
    assert!(told.text().contains("lzma") && told.text().contains("zstd"), "{}", told.text());
    put(&path, "zstd", text.clone()).expect(400);
    put(&path, "zstd", encode("zstd", vec![b'a'; 64 << 20])).expect(413);
    put(&path, "identity", encode("zstd", text)).expect(400);
    site.reader("pub").assert_lacks(&path);
    // A listing is made here anyway.
    let target = format!("/{}.ls", path.hash);
    let listing = writer.endpoint.put(&target).header("Content-Encoding", "br").basic("", &writer.token);
    listing.body("whatever").send().expect_success();
}

#[test]
fn a_nar_with_a_compression_that_is_not_supported_is_refused_with_those_that_are() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    let path = Path::small("packed");
    for extension in ["lz4", "lzip", "lz", "Z"] {
        let target = format!("/nar/{}.nar.{extension}", path.file_hash_nix32());
        let told = writer.put(&target, "application/x-nix-nar", "whatever").expect(415);
        for name in [extension, "zstd", "xz", "bzip2", "gzip", "br", "none"] {
            assert!(told.text().contains(name), "{name}: {}", told.text());
        }
        let stranger = Writer { endpoint: site.cache("pub"), token: "nonsense".to_owned() };
        stranger.put(&target, "application/x-nix-nar", "whatever").expect(401);
        site.cache("pub").get(&target).send().expect(404);
    }
}

#[test]
fn odd_signatures_are_no_reason_to_refuse_a_path() {
    let site = Site::start();
    let writer = Writer::new(&site, "pub");
    let path = Path::small("oddly-signed");
    writer.nar(&path).expect_success();
    let odd =
        ["sigstore-v1:eyJhIjoxfQ==", "nonsense", ":", "a:b:c", &format!("x-1:{}", "eHh4".repeat(32)), ""];
    let lines: String = odd.iter().map(|odd| format!("Sig: {odd}\n")).collect();
    writer.narinfo(&path, &format!("{}{lines}", path.narinfo_text())).expect_success();
    let info = site.reader("pub").assert_has(&path);
    assert_eq!(info.signatures.len(), 1);
    assert!(info.is_signed_by(&site.public_key("pub")));
}

fn public_half(name: &str, key: &SigningKey) -> String {
    format!("{name}:{}", STANDARD.encode(key.verifying_key().to_bytes()))
}

/// `nix store sign` and `nix store copy-sigs` put the narinfo alone.
#[test]
fn a_signature_that_comes_later_is_kept_if_a_trusted_key_made_it() {
    let [trusted, stranger] = [(); 2].map(|()| SigningKey::from_bytes(&random_bytes()));
    let public = public_half("builder-1", &trusted);
    let mut site = Site::with(|config| config["caches"][0]["trusted-public-keys"] = json!([public]));
    let writer = Writer::new(&site, "pub");
    let path = Path::small("signed-later");
    site.pusher("pub").push(&path);
    let own = site.public_key("pub");
    let before = site.reader("pub").assert_has(&path);
    assert_eq!(before.signatures.len(), 1);
    let sign = |name: &str, signature: &str| format!("{}Sig: {name}:{signature}\n", path.narinfo_text());

    // Signatures that mean nothing here are dropped, as with the first push.
    writer.narinfo(&path, &sign("stranger-1", &path.signed_with(&stranger))).expect_success();
    writer.narinfo(&path, &sign("builder-1", &path.signed_with(&stranger))).expect_success();
    assert_eq!(site.reader("pub").assert_has(&path), before);

    let signed = sign("builder-1", &path.signed_with(&trusted));
    for _ in 0..2 {
        writer.narinfo(&path, &signed).expect_success();
        let after = site.reader("pub").assert_has(&path);
        assert!(after.is_signed_by(&own) && after.is_signed_by(&public), "{:?}", after.signatures);
        assert_eq!(after.signatures.len(), 2);
    }
    let file = site.storage_dir("pub").join(format!("{}.narinfo", path.hash));
    assert!(NarInfo::parse(&std::fs::read_to_string(&file).unwrap()).is_signed_by(&public));
    site.crash_and_restart();
    assert!(site.reader("pub").assert_has(&path).is_signed_by(&public));

    // Also where the NAR comes along once more, and by the API of Cachix.
    for by_api in [false, true] {
        let path = Path::small("signed-later");
        site.pusher("pub").push(&path);
        let signature = path.signed_with(&trusted);
        if by_api {
            site.pusher("pub").push_announcing(&path, "cSig", json!(signature)).expect(200);
        } else {
            let writer = Writer::new(&site, "pub");
            writer.nar(&path).expect_success();
            let text = format!("{}Sig: builder-1:{signature}\n", path.narinfo_text());
            writer.narinfo(&path, &text).expect_success();
        }
        assert!(site.reader("pub").assert_has(&path).is_signed_by(&public), "{by_api}");
    }
}

#[test]
fn a_narinfo_that_contradicts_what_is_there_is_refused() {
    let trusted = SigningKey::from_bytes(&random_bytes());
    let public = public_half("builder-1", &trusted);
    let site = Site::with(|config| config["caches"][0]["trusted-public-keys"] = json!([public]));
    let writer = Writer::new(&site, "pub");
    let [path, other] = ["first", "other"].map(Path::small);
    site.pusher("pub").push(&path);
    site.pusher("pub").push(&other);
    let before = site.reader("pub").assert_has(&path);
    let rebuilt = Path { hash: path.hash.clone(), name: path.name.clone(), ..other };
    let referring = path.clone().referring_to(["0".repeat(32) + "-a"]);
    for wrong in [&rebuilt, &referring] {
        let text = format!("{}Sig: builder-1:{}\n", wrong.narinfo_text(), wrong.signed_with(&trusted));
        let told = writer.narinfo(&path, &text).expect(409);
        assert!(told.text().contains(&path.base_name()), "{}", told.text());
        assert_eq!(site.reader("pub").assert_has(&path), before);
    }
    // Two builders that end at the same time send the NAR as well. The first one wins, and both go on.
    let rebuilt = Path { hash: path.hash.clone(), name: path.name.clone(), ..Path::small("first") };
    writer.nar(&rebuilt).expect_success();
    writer.narinfo(&rebuilt, &rebuilt.narinfo_text()).expect_success();
    site.pusher("pub").push(&rebuilt);
    assert_eq!(site.reader("pub").assert_has(&path), before);
    site.wait_for_empty_spool("pub");
}
