//! What is negotiated in a handshake, as `openssl s_client` sees it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::client::content;
use super::{s_client, secure_site};
use crate::harness::Site;

/// All ports that speak TLS.
fn ports(site: &Site) -> [u16; 3] {
    ["api", "deploy", "pub"].map(|name| site.port(name))
}

/// The names of the ciphers that this openssl can offer.
fn offered(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("openssl").args(["ciphers", "-s"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", content(&output));
    content(&output).trim().split(':').map(str::to_owned).collect()
}

/// Those of the ciphers with which a handshake succeeds.
#[track_caller]
fn taken(port: u16, version: &str, option: &str, ciphers: &[String]) -> BTreeSet<String> {
    let is_taken = |cipher: &&String| {
        let name = if option == "-cipher" { format!("{cipher}:@SECLEVEL=0") } else { (*cipher).clone() };
        let output = s_client(port, &[version, option, &name]);
        let is_refused = content(&output).contains("SSL alert number 40");
        assert!(output.status.success() != is_refused, "{cipher}: {}", content(&output));
        !is_refused
    };
    ciphers.iter().filter(is_taken).cloned().collect()
}

#[test]
fn of_all_ciphers_only_those_with_forward_secrecy_and_authentication_are_taken() {
    let site = secure_site(|_, _| {});
    let all = offered(&["-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
    for weak in ["AES128-SHA", "NULL-SHA256", "ECDHE-ECDSA-AES128-SHA", "ADH-AES128-SHA256"] {
        assert!(all.iter().any(|cipher| cipher == weak), "{weak} is offered: {all:?}");
    }
    // Those for another kind of key than that of the certificate cannot be tried.
    let good =
        ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"];
    assert_eq!(taken(site.port("api"), "-tls1_2", "-cipher", &all), good.map(str::to_owned).into());

    let all = [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ];
    let good = all[..3].iter().map(|cipher| (*cipher).to_owned()).collect();
    assert_eq!(taken(site.port("api"), "-tls1_3", "-ciphersuites", &all.map(str::to_owned)), good);
}

#[test]
fn http_2_and_http_1_1_are_negotiated_and_other_protocols_are_refused() {
    let site = secure_site(|_, _| {});
    for port in ports(&site) {
        for version in ["-tls1_2", "-tls1_3"] {
            let negotiate = |protocols: &str| content(&s_client(port, &[version, "-alpn", protocols]));
            for (protocols, chosen) in [
                ("h2", "h2"),
                ("http/1.1", "http/1.1"),
                ("h2,http/1.1", "h2"),
                ("spdy/3,http/1.1", "http/1.1"),
            ] {
                let said = negotiate(protocols);
                assert!(said.contains(&format!("ALPN protocol: {chosen}\n")), "{protocols}: {said}");
            }
            for protocols in ["spdy/3", "http/1.0"] {
                let said = negotiate(protocols);
                assert!(said.contains("SSL alert number 120"), "{protocols}: {said}");
            }
            assert!(content(&s_client(port, &[version])).contains("No ALPN negotiated"));
        }
    }
}

#[test]
fn nothing_is_compressed() {
    let site = secure_site(|_, _| {});
    for port in ports(&site) {
        for version in ["-tls1_2", "-tls1_3"] {
            let said = content(&s_client(port, &[version, "-comp"]));
            assert!(said.contains("Compression: NONE"), "{said}");
        }
    }
}

/// A client could make the daemon compute handshake after handshake over one connection.
#[test]
fn no_connection_is_negotiated_anew() {
    let site = secure_site(|_, _| {});
    for port in ports(&site) {
        for more in [&[][..], &["-legacy_renegotiation"]] {
            let mut client = Command::new("openssl")
                .args(["s_client", "-tls1_2", "-connect", &format!("127.0.0.1:{port}")])
                .args(more)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // The input stays open, so that the client ends because of the answer.
            let mut input = client.stdin.take().unwrap();
            input.write_all(b"R\n").unwrap();
            let output = client.wait_with_output().unwrap();
            drop(input);
            let said = content(&output);
            assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
        }
    }
}
