//! An upstream that wants a client certificate: nginx, as people run it before a binary cache.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path as FilePath;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::upstream::{Act, Upstream};
use crate::harness::daemon::DAEMON;
use crate::harness::{Path, SOON, Site, ports, wait_for};

/// nginx over a flat binary cache, with certificates of its own authority.
pub struct Nginx {
    process: Child,
    directory: TempDir,
    port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn openssl(directory: &FilePath, arguments: &str) {
    let output = Command::new("openssl")
        .current_dir(directory)
        .args(arguments.split(' '))
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Why the daemon trusts the authority.
#[derive(Clone, Copy, PartialEq)]
pub enum Trusts {
    BySystem,
    ByConfiguration,
}

impl Nginx {
    /// It has these paths; the NARs of `far_paths` are at the URLs that it redirects to.
    pub fn start(signer: &Upstream, paths: &[&Path], far_paths: &[(&Path, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        openssl(root, &format!("{made} -subj /CN=authority -keyout ca.key -out ca.crt"));
        fs::write(root.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        for name in ["server", "client"] {
            openssl(
                root,
                &format!(
                    "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} -keyout {name}.key \
                     -out {name}.csr"
                ),
            );
            openssl(
                root,
                &format!(
                    "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out \
                     {name}.crt"
                ),
            );
        }
        fs::create_dir_all(root.join("www/nar")).unwrap();
        fs::write(root.join("www/nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
        for path in paths {
            fs::write(root.join(format!("www/{}.narinfo", path.hash)), signer.narinfo(path)).unwrap();
            fs::write(root.join("www").join(path.file_url()), &path.file).unwrap();
        }
        let far = |(path, to): &(&Path, String)| {
            format!("location = /{} {{ return 307 {to}; }}\n", path.file_url())
        };
        let far: String = far_paths.iter().map(far).collect();
        let [port] = ports::free();
        let config = format!(
            "daemon off; master_process off; pid {root}/pid; error_log {root}/error.log;\n\
             events {{}}\n\
             http {{ access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;\n\
             uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
             server {{ listen 127.0.0.1:{port} ssl; root {root}/www; ssl_certificate {root}/server.crt;\n\
             ssl_certificate_key {root}/server.key; ssl_client_certificate {root}/ca.crt; ssl_verify_client on;\n\
             {far} }} }}\n",
            root = root.display()
        );
        fs::write(root.join("nginx.conf"), config).unwrap();
        let process = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(root.join("nginx.conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx runs");
        wait_for(SOON, "nginx listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        Self { process, directory, port }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// One of its files: `client.crt` and `client.key` are what it wants to see.
    pub fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A daemon that trusts the authority because its system does, or because its configuration says so.
    pub fn site(&self, signer: &Upstream, certificate: bool, trusts: Trusts) -> Site {
        let (url, key) = (self.url(), signer.public_key());
        let files = self.directory.path().to_owned();
        let authority = files.join("ca.crt");
        let configured = authority.clone();
        let edit = move |config: &mut serde_json::Value, _: &FilePath| {
            if trusts == Trusts::ByConfiguration {
                config["server"]["trusted-authorities"] = json!([configured]);
            }
            let mut entry = json!({"url": url, "public-keys": key});
            if certificate {
                entry["client-certificate-file"] = json!(files.join("client.crt"));
                entry["client-key-file"] = json!(files.join("client.key"));
            }
            config["caches"][0]["upstreams"] = json!([entry]);
            config["server"]["federation"] = json!({"lookup-timeout": "4s"});
        };
        Site::launched(edit, move |_| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            if trusts == Trusts::BySystem {
                command.env("SSL_CERT_FILE", &authority);
            }
            command
        })
    }
}

#[test]
fn an_upstream_that_wants_a_client_certificate_sees_it() {
    let signer = Upstream::start();
    let path = Path::incompressible("guarded", 500_000);
    let nginx = Nginx::start(&signer, &[&path], &[]);
    for trusts in [Trusts::BySystem, Trusts::ByConfiguration] {
        let site = nginx.site(&signer, true, trusts);
        site.reader("pub").assert_has(&path);
        let list = site.cachectl_ok(&["upstream", "list", "--json"]);
        assert!(list.contains("\"access\": \"certificate\""), "{list}");
    }
    // Without it there is nothing to be had.
    let site = nginx.site(&signer, false, Trusts::ByConfiguration);
    assert_eq!(site.reader("pub").narinfo_status(&path), 404);
}

#[test]
fn an_upstream_with_https_that_redirects_to_http_keeps_its_credentials_to_itself() {
    let (signer, plain) = (Upstream::start(), Upstream::start());
    let (path, forged) = (Path::incompressible("far", 300_000), Path::incompressible("forged", 300_000));
    plain.on("/far", Act::Send(path.file.clone()));
    plain.on("/forged", Act::Send(Path::incompressible("other", 300_000).file));
    let far_paths = [(&path, format!("{}/far", plain.url())), (&forged, format!("{}/forged", plain.url()))];
    let nginx = Nginx::start(&signer, &[&path, &forged], &far_paths);
    let headers = nginx.file("headers");
    fs::write(&headers, "X-Gateway: hunter2-hunter2\n").unwrap();
    let site = nginx.site(&signer, true, Trusts::ByConfiguration);
    site.edit_config(|config| config["caches"][0]["upstreams"][0]["headers-file"] = json!(headers));
    site.cachectl_ok(&["reload"]);
    // What is signed may come from anywhere; what is not what was signed never arrives as a whole.
    site.reader("pub").assert_has(&path);
    let info = site.reader("pub").narinfo(&forged);
    assert!(site.cache("pub").get(&format!("/{}", info.url)).try_send().is_err());
    let seen = plain.headers();
    assert!(!seen.is_empty() && seen.iter().all(|header| !header.contains("hunter2")), "{seen:?}");
}
