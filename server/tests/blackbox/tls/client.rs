//! A client that speaks HTTPS to a site: curl, with what it presents.

use std::fs;
use std::process::Output;

use serde_json::Value;

use super::curl;
use crate::harness::site::HOST;
use crate::harness::{NarInfo, Path, Site};

/// A client of one daemon.
pub struct Client<'a> {
    site: &'a Site,
    presents: Vec<String>,
}

/// What it got.
pub struct Reply {
    pub status: u16,
    headers: String,
    pub body: Vec<u8>,
}

impl<'a> Client<'a> {
    pub fn new(site: &'a Site) -> Self {
        Self { site, presents: Vec::new() }
    }

    pub fn with_token(self, token: &str) -> Self {
        let header = format!("Authorization: Bearer {token}");
        Self { presents: vec!["-H".to_owned(), header], ..self }
    }

    /// Presents a certificate, given by its file and that of its key.
    pub fn with_certificate(self, [certificate, key]: &[String; 2]) -> Self {
        let presents = ["--cert", certificate, "--key", key].map(str::to_owned);
        Self { presents: presents.into(), ..self }
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask(HOST, "GET", path, None, &[])
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.ask(HOST, "POST", path, Some(body), &[])
    }

    pub fn put(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) -> Reply {
        self.ask(HOST, "PUT", path, Some(body), headers)
    }

    /// Pushes a path as Nix does.
    #[track_caller]
    pub fn put_path(&self, cache: &str, path: &Path) {
        let host = format!("{cache}.{HOST}");
        for (name, body) in [
            (path.file_url(), path.file.clone()),
            (format!("{}.narinfo", path.hash), path.narinfo_text().into_bytes()),
        ] {
            let reply = self.ask(&host, "PUT", &format!("/{name}"), Some(&body), &[]);
            assert!((200..300).contains(&reply.status), "{name}: {}", reply.text());
        }
    }

    pub fn narinfo(&self, cache: &str, path: &Path) -> Reply {
        self.ask(&format!("{cache}.{HOST}"), "GET", &format!("/{}.narinfo", path.hash), None, &[])
    }

    /// Reads narinfo and NAR and compares them with what was pushed.
    #[track_caller]
    pub fn assert_has(&self, cache: &str, path: &Path) {
        let info = NarInfo::parse(self.narinfo(cache, path).expect(200).text());
        assert_eq!((info.store_path, info.nar_hash), (path.store_path(), path.nar_hash()));
        let nar =
            self.ask(&format!("{cache}.{HOST}"), "GET", &format!("/{}", info.url), None, &[]).expect(200);
        assert!(nar.body == path.file, "the NAR is what was pushed");
    }

    #[track_caller]
    fn ask(
        &self,
        host: &str,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let mut arguments: Vec<String> = self.presents.clone();
        arguments.extend(["--request", method, "--header", "Expect:"].map(str::to_owned));
        arguments.extend(["--dump-header".to_owned(), file("headers"), "--output".to_owned(), file("reply")]);
        if let Some(body) = body {
            fs::write(file("body"), body).unwrap();
            let kind = if method == "POST" { "application/json" } else { "application/octet-stream" };
            arguments.extend(["--header".to_owned(), format!("Content-Type: {kind}")]);
            arguments.extend(["--data-binary".to_owned(), format!("@{}", file("body"))]);
        }
        for (name, value) in headers {
            arguments.extend(["--header".to_owned(), format!("{name}: {value}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = curl(self.site, &arguments, host, path).output().unwrap();
        assert!(output.status.success(), "{method} {path}: {}", content(&output));
        let headers = fs::read_to_string(file("headers")).unwrap();
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&headers);
        Reply { status, headers, body: fs::read(file("reply")).unwrap_or_default() }
    }
}

impl Reply {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("bytes")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of a header, given by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.to_lowercase() == name).map(|(_, value)| value.trim())
    }
}

/// All that a command has printed.
pub fn content(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
