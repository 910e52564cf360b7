//! Certificates that are replaced while they are in use.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::{Kind, authority, curl, curl_ok, files, s_client, secure_site};
use crate::harness::site::HOST;
use crate::harness::{SOON, Site, wait_for};

/// The serial number of the certificate that a port presents.
fn serial(site: &Site) -> String {
    let output = s_client(site.port("api"), &["-showcerts"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let begin = text.find("-----BEGIN").expect("a certificate");
    let end = text.find("-----END CERTIFICATE-----").unwrap();
    text[begin..end].to_owned()
}

/// Makes a new certificate for the site, in place.
fn renew(site: &Site, days: i32) {
    let (certificate, key) = files(site.directory());
    authority(site).issue(Kind::Server, &[HOST, &format!("*.{HOST}")], days, &certificate, &key);
}

#[test]
fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let site = secure_site(|_, _| {});
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let host = format!("pub.{HOST}");
    thread::scope(|scope| {
        let load = |arguments: &'static [&'static str]| {
            let (site, done, asked, host) = (&site, &done, &asked, &host);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let output = curl(site, arguments, host, "/nix-cache-info?[1-20]").output().unwrap();
                    let complaint = String::from_utf8_lossy(&output.stderr);
                    assert!(output.status.success(), "a request failed: {complaint}");
                    asked.fetch_add(20, Ordering::Relaxed);
                }
            })
        };
        let threads = [
            load(&["--fail", "--output", "/dev/null"]),
            load(&["--fail", "--http1.1", "--output", "/dev/null"]),
        ];
        for _ in 0..2 {
            let before = (serial(&site), asked.load(Ordering::Relaxed));
            renew(&site, 90);
            wait_for(SOON, "the new certificate is presented", || (serial(&site) != before.0).then_some(()));
            wait_for(SOON, "requests go on", || {
                (asked.load(Ordering::Relaxed) > before.1 + 100).then_some(())
            });
        }
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_reload_takes_a_new_certificate_at_once() {
    let site = secure_site(|_, _| {});
    let before = serial(&site);
    renew(&site, 90);
    site.cachectl_ok(&["reload"]);
    assert_ne!(serial(&site), before);
}

#[test]
fn files_that_are_half_written_leave_the_old_certificate_in_force() {
    let site = secure_site(|_, _| {});
    let before = serial(&site);
    let (certificate, key) = files(site.directory());
    let good = [fs::read(&certificate).unwrap(), fs::read(&key).unwrap()];
    renew(&site, 90);
    fs::write(&key, &good[1]).unwrap();
    let failing = || {
        let workers: Value = serde_json::from_str(&site.cachectl_ok(&["worker", "list", "--json"])).unwrap();
        let worker =
            workers["workers"].as_array()?.iter().find(|worker| worker["name"] == "certificates")?.clone();
        worker["last_error"].as_str().map(str::to_owned)
    };
    let error = wait_for(SOON, "the worker says what is wrong", failing);
    assert!(error.contains("does not belong to"), "{error}");
    assert_eq!(serial(&site), before);
    assert!(!site.cachectl(&["reload"]).status.success());
    curl_ok(&site, &["--fail"], &format!("pub.{HOST}"), "/nix-cache-info");
    renew(&site, 90);
    wait_for(SOON, "the new pair is presented", || (serial(&site) != before).then_some(()));
}

#[test]
fn operators_are_told_when_a_certificate_ends() {
    let site = secure_site(|config, _| {
        config["server"]["metrics-address"] =
            json!(format!("127.0.0.1:{}", crate::harness::ports::free::<1>()[0]));
    });
    let doctor = || {
        let findings: Value = serde_json::from_slice(&site.cachectl(&["doctor", "--json"]).stdout).unwrap();
        let certificate = |finding: &&Value| finding["subject"].as_str().unwrap().starts_with("certificate ");
        findings.as_array().unwrap().iter().find(certificate).cloned().expect("a finding")
    };
    assert_eq!(doctor()["level"], "ok");
    renew(&site, 5);
    site.cachectl_ok(&["reload"]);
    assert_eq!(doctor()["level"], "warn", "{}", doctor());
    // In the second in which it was made it has five days.
    wait_for(SOON, "it ends in less than five days", || {
        doctor()["message"].as_str().unwrap().contains("4 days").then_some(())
    });
    let status: Value = serde_json::from_str(&site.cachectl_ok(&["status", "--json"])).unwrap();
    let ends = status["certificates"][0]["ends"].as_i64().unwrap();
    assert!(status["certificates"][0]["names"].as_array().unwrap().contains(&json!(HOST)));
    let config: Value =
        serde_json::from_str(&fs::read_to_string(site.directory().join("config.yaml")).unwrap()).unwrap();
    let address = config["server"]["metrics-address"].as_str().unwrap();
    let scraped = std::process::Command::new("curl")
        .args(["-s", &format!("http://{address}/metrics")])
        .output()
        .unwrap();
    let metrics = String::from_utf8(scraped.stdout).unwrap();
    let line =
        metrics.lines().find(|line| line.starts_with("cache_server_certificate_end_timestamp_seconds{"));
    let value: f64 = line.expect(&metrics).rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(value as i64, ends);
}
