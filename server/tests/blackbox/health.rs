//! What supervisors and load balancers ask: whether the daemon lives, and whether requests should come to it.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, Fault};
use crate::harness::site::HOST;
use crate::harness::{Endpoint, Path, SOON, Site, ports, wait_for};
use crate::tls::{authority, curl_ok, secure_site};

fn deploy_port(site: &Site) -> Endpoint {
    let port = site.port("deploy");
    Endpoint { address: ([127, 0, 0, 1], port).into(), host: format!("127.0.0.1:{port}") }
}

/// Waits for a status of readiness, and returns the reply.
#[track_caller]
fn wait_for_status(site: &Site, status: &str) -> (u16, Value) {
    wait_for(SOON, status, || {
        let reply = site.api().get("/health/ready").send();
        let text = reply.json();
        (text["status"] == status).then_some((reply.status, text))
    })
}

fn part(text: &Value) -> &str {
    text["reasons"][0]["part"].as_str().unwrap()
}

#[test]
fn every_port_and_host_name_says_without_a_token_that_the_daemon_is_well() {
    let site = Site::with(|config| config["server"]["hide-private-caches"] = json!(true));
    let endpoints = [
        site.api(),
        site.cache("pub"),
        site.cache("priv"),
        site.cache("nope"),
        site.cache_port("pub"),
        deploy_port(&site),
    ];
    for endpoint in endpoints {
        for path in ["/health/live", "/health/ready"] {
            let reply = endpoint.get(path).send().expect(200);
            assert_eq!(reply.json(), json!({"status": "ready", "reasons": []}), "{}{path}", endpoint.host);
            assert_eq!(reply.header("Cache-Control"), Some("no-store"));
            assert!(endpoint.head(path).send().expect(200).body.is_empty());
        }
    }
    site.api().get("/health").send().expect(404);
    site.cachectl_ok(&["status", "--exit-code"]);
}

#[test]
fn a_storage_that_fails_is_named_by_its_part_alone() {
    let site = Site::with_files(|config, directory| {
        let storage = |name: &str| json!({"name": name, "type": "local", "root": directory.join(name)});
        config["caches"].as_array_mut().unwrap().truncate(1);
        config["caches"][0]["storages"] = json!([storage("secret-one"), storage("secret-two")]);
    });
    let paths: Vec<Path> = (0..4).map(|number| Path::small(&format!("path-{number}"))).collect();
    paths.iter().for_each(|path| site.pusher("pub").push(path));
    let lose = |name: &str| {
        fs::rename(site.directory().join(name), site.directory().join("gone").join(name)).unwrap();
        // A storage that nobody uses is asked for nothing.
        for path in &paths {
            site.reader("pub").get(&path.file_url());
            site.reader("pub").narinfo_status(path);
        }
    };
    fs::create_dir(site.directory().join("gone")).unwrap();
    lose("secret-one");
    let (code, text) = wait_for_status(&site, "degraded");
    assert_eq!((code, part(&text)), (200, "storages"), "{text}");
    assert!(!text.to_string().contains("secret"), "{text}");
    let told = site.cachectl(&["status", "--exit-code"]);
    assert_eq!(told.status.code(), Some(9));
    assert!(String::from_utf8_lossy(&told.stderr).contains("secret-one"), "{told:?}");

    lose("secret-two");
    let (code, text) = wait_for_status(&site, "unavailable");
    assert_eq!((code, part(&text)), (503, "storages"), "{text}");
    site.api().get("/health/live").send().expect(200);
}

#[test]
fn a_catalog_that_cannot_be_written_sends_requests_elsewhere() {
    let site = Site::launched(
        |_, _| (),
        |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            faulty::preload(&mut command, directory, "/db.sqlite");
            command
        },
    );
    let pusher = site.pusher("pub");
    faulty::set(site.directory(), Some(Fault::Write(EIO)));
    wait_for(SOON, "a push is refused", || (pusher.try_push(&Path::small("x")).status == 503).then_some(()));
    let (code, text) = wait_for_status(&site, "unavailable");
    assert_eq!((code, part(&text)), (503, "catalog"), "{text}");
    faulty::set(site.directory(), None);
    wait_for_status(&site, "ready");
}

#[test]
fn a_port_that_is_taken_degrades_the_daemon() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let site = Site::with(|config| config["caches"][0]["port"] = json!(port));
    let (code, text) = wait_for_status(&site, "degraded");
    assert_eq!((code, part(&text)), (200, "listeners"), "{text}");
    drop(taken);
    wait_for_status(&site, "ready");
}

#[test]
fn ports_with_tls_the_port_of_metrics_and_the_admin_socket_answer_as_well() {
    let [metrics] = ports::free();
    let site = secure_site(|config, _| {
        config["server"]["metrics-address"] = json!(format!("127.0.0.1:{metrics}"));
    });
    for path in ["/health/live", "/health/ready"] {
        for host in [HOST.to_owned(), format!("pub.{HOST}")] {
            assert!(curl_ok(&site, &["--fail"], &host, path).contains(r#""status":"ready""#), "{host}{path}");
        }
        for port in ["deploy", "pub", "priv"] {
            let url = format!("https://localhost:{}{path}", site.port(port));
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", "--cacert"]).arg(authority(&site).certificate()).arg(url);
            let output = curl.output().unwrap();
            assert!(output.status.success(), "{port}{path}: {output:?}");
        }
        let address = ([127, 0, 0, 1], metrics).into();
        let endpoint = Endpoint { address, host: format!("127.0.0.1:{metrics}") };
        endpoint.get(path).send().expect(200);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--unix-socket"]).arg(site.directory().join("admin.sock"));
        let output = curl.arg(format!("http://admin{path}")).output().unwrap();
        assert!(output.status.success(), "admin{path}: {output:?}");
    }
}
