//! Daemons that reach each other over their own HTTPS ports, with certificates of an authority that no system knows.

use std::fs;
use std::path::Path as FilePath;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Client, content};
use super::{Authority, Kind, authority, curl_ok, secure};
use crate::federation::network;
use crate::harness::push::content_md5;
use crate::harness::site::HOST;
use crate::harness::{Cluster, Path, Permission, SOON, Site, wait_for};

/// Gives a daemon a certificate of the authority in `common`, which it trusts, and an `https://` URL for other daemons.
fn secure_by(common: &FilePath, config: &mut Value, directory: &FilePath) {
    let own = directory.join("authority");
    // The directory of a site outlives a start that found its ports taken.
    fs::create_dir_all(&own).unwrap();
    for name in ["ca.pem", "ca.key"] {
        fs::copy(common.join(name), own.join(name)).unwrap();
    }
    secure(config, directory);
    let port = config["server"]["server-port"].clone();
    config["server"]["node-url"] = json!(format!("https://localhost:{port}"));
    config["server"]["trusted-authorities"] = json!(own.join("ca.pem"));
}

/// Makes a daemon know builders by certificates of the same authority: they may write to `priv`.
fn know_builders(config: &mut Value) {
    config["server"]["tls"]["client-authorities"] = config["server"]["trusted-authorities"].clone();
    config["client-certificates"] =
        json!([{"claims": {"dns": "*.builders.test"}, "caches": ["priv"], "permission": "write"}]);
}

fn distrust(site: &mut Site) {
    site.reconfigure(|config| drop(config["server"].as_object_mut().unwrap().remove("trusted-authorities")));
}

fn common_authority() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    Authority::at(directory.path());
    directory
}

/// A certificate of a builder, and its key, in the directory of a site.
fn builder(site: &Site) -> [String; 2] {
    let files = ["builder.pem", "builder.key"].map(|name| site.directory().join(name));
    authority(site).issue(Kind::Client, &["one.builders.test"], 30, &files[0], &files[1]);
    files.map(|file| file.to_str().unwrap().to_owned())
}

/// Pushes a path to `priv` whose upload is begun at one daemon and continued at the other.
fn push_across(owner: &Client<'_>, other: &Client<'_>, path: &Path) {
    let compression = path.compression.parameter();
    let begun = owner.post(&format!("/api/v1/cache/priv/multipart-nar?compression={compression}"), b"");
    let begun: Value = begun.expect(200).json();
    let (id, secret) = (begun["narId"].as_str().unwrap(), begun["uploadId"].as_str().unwrap());
    let secret = crate::harness::http::percent_encode(secret);
    let mut parts = Vec::new();
    for (number, bytes) in path.file.chunks(path.file.len().div_ceil(2)).enumerate() {
        let (number, md5) = (number + 1, content_md5(bytes));
        let sign = format!("/api/v1/cache/priv/multipart-nar/{id}?uploadId={secret}&partNumber={number}");
        let signed = other.post(&sign, json!({"contentMD5": md5}).to_string().as_bytes()).expect(200).json();
        let (_, target) = signed["uploadUrl"].as_str().unwrap()["https://".len()..].split_once('/').unwrap();
        let put = other.put(&format!("/{target}"), bytes, &[("Content-MD5", &md5)]).expect(200);
        parts.push(json!({"partNumber": number, "eTag": put.header("etag").expect("an ETag")}));
    }
    let complete = format!("/api/v1/cache/priv/multipart-nar/{id}/complete?uploadId={secret}");
    let body = json!({"parts": parts, "narInfoCreate": path.nar_info_create()});
    other.post(&complete, body.to_string().as_bytes()).expect(200);
}

/// The status of asking at `other` for a part of an upload that `owner` has.
fn status_across(owner: &Client<'_>, other: &Client<'_>) -> u16 {
    let begun: Value = owner.post("/api/v1/cache/priv/multipart-nar?compression=zst", b"").expect(200).json();
    let (id, secret) = (begun["narId"].as_str().unwrap(), begun["uploadId"].as_str().unwrap());
    let secret = crate::harness::http::percent_encode(secret);
    let sign = format!("/api/v1/cache/priv/multipart-nar/{id}?uploadId={secret}&partNumber=1");
    other.post(&sign, json!({"contentMD5": content_md5(b"x")}).to_string().as_bytes()).status
}

#[test]
fn daemons_of_one_catalog_pass_uploads_on_over_https() {
    let common = common_authority();
    let mut cluster = Cluster::with_files(|config, directory| {
        secure_by(common.path(), config, directory);
        know_builders(config);
    });
    let token = cluster.a.token("priv", Permission::Write);
    let certificate = builder(&cluster.a);
    {
        let Cluster { a, b, .. } = &cluster;
        wait_for(SOON, "the token is good at the other daemon", || {
            (Client::new(b).with_token(&token).get("/api/v1/cache/priv").status == 200).then_some(())
        });
        for (owner, other) in [(a, b), (b, a)] {
            let clients = [owner, other].map(|site| Client::new(site).with_token(&token));
            let path = Path::incompressible("by-token", 3_000_000);
            push_across(&clients[0], &clients[1], &path);
            clients.iter().for_each(|client| client.assert_has("priv", &path));
            // Somebody who has a certificate and no token is known to the daemon that the request is passed on to.
            let builders = [owner, other].map(|site| Client::new(site).with_certificate(&certificate));
            let path = Path::incompressible("by-certificate", 100_000);
            push_across(&builders[0], &builders[1], &path);
            clients.iter().for_each(|client| client.assert_has("priv", &path));
        }
    }
    // A daemon that does not trust the authority passes nothing on, and says why.
    distrust(&mut cluster.b);
    let clients = [&cluster.a, &cluster.b].map(|site| Client::new(site).with_token(&token));
    assert_eq!(status_across(&clients[0], &clients[1]), 404);
    let log = cluster.b.daemon().log();
    assert!(log.contains("could not pass on a request about an upload"), "{log}");
}

#[test]
fn nodes_of_a_network_find_paths_at_each_other_over_https() {
    let common = common_authority();
    let node = |entry: Option<u16>| {
        Site::with_files(|config, directory| {
            network::join(config, entry);
            secure_by(common.path(), config, directory);
        })
    };
    let first = node(None);
    let mut second = node(Some(first.port("deploy")));
    let token = first.token("pub", Permission::Write);
    let path = Path::incompressible("travelling", 2_000_000);
    Client::new(&first).with_token(&token).put_path("pub", &path);
    let reader = second.token("pub", Permission::Read);
    let found = Client::new(&second).with_token(&reader);
    wait_for(SOON, "the other node finds it", || (found.narinfo("pub", &path).status == 200).then_some(()));
    found.assert_has("pub", &path);
    let ping = |site: &Site| site.cachectl(&["peer", "ping"]);
    assert!(ping(&second).status.success(), "{}", content(&ping(&second)));

    distrust(&mut second);
    let said = wait_for(SOON, "the nodes know each other again", || {
        let output = ping(&second);
        (!output.status.success()).then(|| content(&output))
    });
    assert!(said.contains("certificate"), "{said}");
    assert!(ping(&first).status.success(), "the first still trusts the second");
}

#[test]
fn a_daemon_reads_the_private_cache_of_another_by_its_certificate() {
    let common = common_authority();
    let holder = Site::with_files(|config, directory| {
        secure_by(common.path(), config, directory);
        know_builders(config);
    });
    let token = holder.token("priv", Permission::Write);
    let path = Path::incompressible("guarded", 500_000);
    Client::new(&holder).with_token(&token).put_path("priv", &path);
    let described =
        curl_ok(&holder, &["-H", &format!("Authorization: Bearer {token}")], HOST, "/api/v1/cache/priv");
    let described: Value = serde_json::from_str(&described).unwrap();
    let certificate = builder(&holder);
    let asking = |with_certificate: bool| {
        Site::with_files(|config, directory| {
            secure_by(common.path(), config, directory);
            let mut upstream = json!({
                "url": format!("https://localhost:{}", holder.port("priv")),
                "public-keys": described["publicSigningKeys"],
            });
            if with_certificate {
                upstream["client-certificate-file"] = json!(certificate[0]);
                upstream["client-key-file"] = json!(certificate[1]);
            }
            config["caches"][1]["upstreams"] = json!([upstream]);
            config["server"]["federation"] = json!({"lookup-timeout": "5s"});
        })
    };
    let site = asking(true);
    let token = site.token("priv", Permission::Read);
    Client::new(&site).with_token(&token).assert_has("priv", &path);
    let site = asking(false);
    let token = site.token("priv", Permission::Read);
    assert_eq!(Client::new(&site).with_token(&token).narinfo("priv", &path).status, 404);
}
