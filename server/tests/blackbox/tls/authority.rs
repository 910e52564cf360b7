//! A certificate authority made with `openssl`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Server,
    Client,
}

/// An authority, kept in a directory.
pub struct Authority {
    directory: PathBuf,
}

impl Authority {
    /// The authority in this directory; made if there is none yet.
    pub fn at(directory: &Path) -> Self {
        let authority = Self { directory: directory.to_owned() };
        if !authority.certificate().exists() {
            fs::create_dir_all(directory).unwrap();
            let key = directory.join("ca.key");
            openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", text(&key)]);
            openssl(&[
                "req",
                "-x509",
                "-new",
                "-key",
                text(&key),
                "-days",
                "3650",
                "-subj",
                "/CN=test authority",
                "-out",
                text(&authority.certificate()),
            ]);
        }
        authority
    }

    /// The file of its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Makes a certificate for these names, the first of which is its common name, and its key.
    pub fn issue(&self, kind: Kind, names: &[&str], days: i32, certificate: &Path, key: &Path) {
        let number = fs::read_dir(&self.directory).unwrap().count();
        let [request, extensions, made] =
            ["csr", "ext", "pem"].map(|extension| self.directory.join(format!("{number}.{extension}")));
        let made_key = self.directory.join(format!("{number}.key"));
        openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", text(&made_key)]);
        let subject = format!("/O=Tests/CN={}", names[0]);
        openssl(&["req", "-new", "-key", text(&made_key), "-subj", &subject, "-out", text(&request)]);
        let names: Vec<String> = names.iter().map(|name| alternative(name)).collect();
        let usage = if kind == Kind::Server { "serverAuth" } else { "clientAuth" };
        fs::write(&extensions, format!("subjectAltName={}\nextendedKeyUsage={usage}\n", names.join(",")))
            .unwrap();
        openssl(&[
            "x509",
            "-req",
            "-in",
            text(&request),
            "-CA",
            text(&self.certificate()),
            "-CAkey",
            text(&self.directory.join("ca.key")),
            "-CAcreateserial",
            "-days",
            &days.to_string(),
            "-extfile",
            text(&extensions),
            "-out",
            text(&made),
        ]);
        fs::copy(&made, certificate).unwrap();
        fs::copy(&made_key, key).unwrap();
    }
}

fn alternative(name: &str) -> String {
    if name.contains("://") { format!("URI:{name}") } else { format!("DNS:{name}") }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
