//! TLS of the daemon's own ports, with real curl, real openssl and real Nix at the other end.

mod authority;
mod client;
mod daemons;
mod handshakes;
mod http2;
mod protocols;
mod renewal;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

pub use self::authority::{Authority, Kind};
use crate::harness::Site;
use crate::harness::site::HOST;

/// The certificate of the daemon in the directory of its site, and the authority that made it.
pub fn files(directory: &Path) -> (PathBuf, PathBuf) {
    (directory.join("server.pem"), directory.join("server.key"))
}

/// Where a test keeps its authority.
pub fn authority(site: &Site) -> Authority {
    Authority::at(&site.directory().join("authority"))
}

/// A daemon whose ports speak TLS, with more changes to its config.
pub fn secure_site(edit: impl Fn(&mut Value, &Path)) -> Site {
    Site::with_files(|config, directory| {
        secure(config, directory);
        edit(config, directory);
    })
}

/// Gives a daemon a certificate of the authority in its directory.
pub fn secure(config: &mut Value, directory: &Path) {
    let authority = Authority::at(&directory.join("authority"));
    let (certificate, key) = files(directory);
    let names = [HOST, &format!("*.{HOST}"), "localhost"];
    authority.issue(Kind::Server, &names, 90, &certificate, &key);
    config["server"]["tls"] = json!({"certificate": certificate, "key": key});
    config["server"]["public-url"] = json!(format!("https://{HOST}:{}", config["server"]["server-port"]));
}

/// curl to `https://NAME:PORT/PATH` of the site, trusting its authority.
pub fn curl(site: &Site, arguments: &[&str], host: &str, path: &str) -> Command {
    let port = site.port("api");
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "30", "--cacert"])
        .arg(authority(site).certificate())
        .arg("--resolve")
        .arg(format!("{host}:{port}:127.0.0.1"))
        .args(arguments)
        .arg(format!("https://{host}:{port}{path}"))
        .stdin(Stdio::null());
    command
}

/// What curl prints, provided that it succeeds.
#[track_caller]
pub fn curl_ok(site: &Site, arguments: &[&str], host: &str, path: &str) -> String {
    let output = curl(site, arguments, host, path).output().unwrap();
    assert!(output.status.success(), "{arguments:?} {path}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `openssl s_client` to a port; its input is empty, so it ends after the handshake.
pub fn s_client(port: u16, arguments: &[&str]) -> Output {
    Command::new("openssl")
        .args(["s_client", "-connect"])
        .arg(format!("127.0.0.1:{port}"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}
