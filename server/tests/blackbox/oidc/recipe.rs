//! The recipe for GitHub Actions in `docs/src/ci.md`, step by step: the action of this repository, then what `cachix/cachix-action` v17 does
//! with its outputs (`src/main.ts` there).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path as FilePath;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use super::{AUDIENCE, Provider, main_branch, site};
use crate::harness::{Path, Pusher, Site};

const LOGIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../action/login");

/// The service of a runner that gives ID tokens to its jobs. Returns its URL, and what it was asked.
fn runner_service(token: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token?api-version=2.0", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            seen.lock().unwrap().push(head.join("\n"));
            let body = json!({"count": 1, "value": token}).to_string();
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    (url, asked)
}

fn login(site: &Site, home: &FilePath, service: Option<&str>) -> Output {
    let mut command = Command::new(LOGIN);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", home);
    command.env("CACHE_SERVER", format!("http://127.0.0.1:{}/", site.port("api")));
    command.env("CACHE_SERVER_AUDIENCE", AUDIENCE).env("GITHUB_OUTPUT", home.join("output"));
    if let Some(url) = service {
        command
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", url)
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of the runner");
    }
    command.output().unwrap()
}

#[test]
fn a_github_job_pushes_with_the_unmodified_cachix_action() {
    let provider = Provider::start();
    let site = site(&provider);
    let home = tempfile::tempdir().unwrap();
    let id_token = provider.token(&main_branch());
    let (service, asked) = runner_service(id_token.clone());
    let output = login(&site, home.path(), Some(&service));
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");

    let asked = asked.lock().unwrap().join("\n");
    assert!(asked.to_lowercase().contains("audience=https%3a%2f%2fcache.test"), "{asked}");
    assert!(asked.contains("Authorization: bearer of the runner"), "{asked}");
    let outputs = fs::read_to_string(home.path().join("output")).unwrap();
    let token = outputs.lines().find_map(|line| line.strip_prefix("token=")).expect(&outputs);
    assert!(outputs.contains("expires-in=3"), "{outputs}");
    // Both tokens are masked before anything could print them, and nothing else prints them.
    for secret in [token, &id_token] {
        assert_eq!(said.matches(secret).count(), 1, "{said}");
        assert!(said.contains(&format!("::add-mask::{secret}")));
    }

    // The client is set up as `cachix config set hostname` leaves it.
    let config = fs::read_to_string(home.path().join(".config/cachix/cachix.dhall")).unwrap();
    assert!(config.contains(&format!("hostname = \"http://127.0.0.1:{}\"", site.port("api"))), "{config}");

    // `cachix authtoken TOKEN` asks nobody. `cachix use NAME` reads the cache, also a private one.
    let cache = site.api().get("/api/v1/cache/priv").bearer(token).send().expect(200).json();
    assert_eq!(cache["name"], "priv");
    // `cachix daemon run NAME` and `cachix push NAME` push.
    let path = Path::small("by-an-action");
    Pusher::new(site.api(), "priv", token).push(&path);
    site.reader("priv").assert_has(&path);
}

#[test]
fn a_job_that_may_not_log_in_is_told_what_to_change() {
    let provider = Provider::start();
    let site = site(&provider);
    let home = tempfile::tempdir().unwrap();
    let failed = |service: Option<&str>| {
        let output = login(&site, home.path(), service);
        assert!(!output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(failed(None).contains("id-token: write"));
    let (service, _) = runner_service(provider.token(&json!({"repository": "evil/web"})));
    let said = failed(Some(&service));
    assert!(said.contains("::error") && said.contains("which claim failed"), "{said}");
    assert!(!home.path().join("output").exists());
}
