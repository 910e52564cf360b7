//! Who gets a connection, and who does not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Authority, Kind, curl_ok, s_client, secure_site};
use crate::harness::Site;
use crate::harness::site::HOST;

#[test]
fn only_tls_1_2_and_1_3_are_spoken() {
    let site = secure_site(|_, _| {});
    for port in ["api", "deploy", "pub"].map(|name| site.port(name)) {
        for version in ["-tls1_2", "-tls1_3"] {
            let output = s_client(port, &[version]);
            assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
        }
        for version in ["-tls1", "-tls1_1"] {
            // This openssl has them switched off unless it is told so.
            let output = s_client(port, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{version} is spoken");
            assert!(complaint.contains("SSL alert number"), "refused by the server: {complaint}");
        }
    }
}

#[test]
fn a_client_of_plain_http_is_told_what_is_wrong() {
    let site = secure_site(|_, _| {});
    let reply = site.api().get("/nix-cache-info").send();
    assert_eq!(reply.status, 400);
    assert!(String::from_utf8_lossy(&reply.body).contains("https://"));
}

#[test]
fn clients_that_never_finish_their_handshake_keep_nobody_out() {
    let site = secure_site(|config, _| config["server"]["max-connections"] = json!(64));
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, site.port("api"))).unwrap();
    let mut silent: Vec<TcpStream> = (0..128).map(|_| connect()).collect();
    // The first record of a handshake, and nothing behind it.
    for stream in silent.iter_mut().take(64) {
        let _ = stream.write_all(&[22, 3, 1, 2, 0, 1]);
    }
    curl_ok(&site, &["--fail"], &format!("pub.{HOST}"), "/nix-cache-info");
    // Each is given up after a while.
    let begun = Instant::now();
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut rest = [0; 1024];
        while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
    }
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[test]
fn a_cache_has_a_certificate_of_its_own_on_its_port_and_by_its_name() {
    let site = secure_site(|config, directory| {
        let authority = Authority::at(&directory.join("authority"));
        let (certificate, key) = (directory.join("own.pem"), directory.join("own.key"));
        authority.issue(Kind::Server, &["nix.example.org"], 90, &certificate, &key);
        config["caches"][0]["tls"] = json!({"certificate": certificate, "key": key});
    });
    let subject = |port: &str, name: &[&str]| {
        String::from_utf8(s_client(site.port(port), name).stdout)
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("subject="))
            .unwrap()
            .to_owned()
    };
    assert!(subject("pub", &["-noservername"]).contains("nix.example.org"));
    assert!(subject("api", &["-servername", "nix.example.org"]).contains("nix.example.org"));
    assert!(subject("api", &["-servername", HOST]).contains(HOST));
    assert!(subject("api", &["-noservername"]).contains(HOST));
}

/// The deploy sockets need HTTP/1.1, which their client asks for.
#[test]
fn a_websocket_is_opened_over_tls() {
    let site = secure_site(|config, _| {
        config["workspaces"] = json!([{"name": "production", "cache": "pub"}]);
        config["agents"] = json!([{"name": "web", "workspace": "production"}]);
    });
    let token = site.cachectl_ok(&["agent", "token", "web"]).lines().last().unwrap().trim().to_owned();
    let authorization = format!("Authorization: Bearer {token}");
    let arguments = [
        "--http1.1",
        "--include",
        "--max-time",
        "3",
        "-H",
        "Connection: Upgrade",
        "-H",
        "Upgrade: websocket",
        "-H",
        "Sec-WebSocket-Version: 13",
        "-H",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "-H",
        "name: web",
        "-H",
        "version: 1.7",
        "-H",
        &authorization,
    ];
    // The socket stays open, so curl ends by its time limit.
    let output = super::curl(&site, &arguments, HOST, "/ws").output().unwrap();
    let reply = String::from_utf8_lossy(&output.stdout);
    assert!(reply.starts_with("HTTP/1.1 101"), "{reply}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn files_that_do_not_belong_together_are_refused_with_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::at(&directory.path().join("authority"));
    let [first, first_key, second, second_key] =
        ["a.pem", "a.key", "b.pem", "b.key"].map(|name| directory.path().join(name));
    authority.issue(Kind::Server, &["a.test"], 1, &first, &first_key);
    authority.issue(Kind::Server, &["b.test"], 1, &second, &second_key);
    let absent = directory.path().join("absent.pem");
    for (certificate, key, complaint) in [
        (&first, &second_key, "does not belong to"),
        (&first_key, &first_key, "no certificate"),
        (&first, &first, "no private key"),
        (&absent, &first_key, "cannot read"),
    ] {
        let config = json!({"caches": [{"name": "main"}], "server": {
            "state-dir": directory.path().join("state"), "tls": {"certificate": certificate, "key": key},
        }});
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, config.to_string()).unwrap();
        let output =
            Command::new(crate::harness::daemon::DAEMON).arg("check-config").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(complaint), "{complaint}: {said}");
    }
    let half = json!({"caches": [], "server": {"tls": {"certificate": first}}});
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, half.to_string()).unwrap();
    let output =
        Command::new(crate::harness::daemon::DAEMON).args(["check-config", "--offline"]).arg(&file).output();
    assert!(!output.unwrap().status.success());
}

#[test]
fn a_site_without_a_certificate_speaks_plain_http_as_before() {
    let site = Site::start();
    site.cache("pub").get("/nix-cache-info").send().expect(200);
    assert!(!s_client(site.port("api"), &[]).status.success());
}
