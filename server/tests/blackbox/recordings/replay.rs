//! Sends the recorded requests to a daemon of ours.

mod sockets;

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{bodies, compare};
use crate::harness::http::{Request, percent_encode};
use crate::harness::read::Reader;
use crate::harness::site::HOST;
use crate::harness::{Compression, NarInfo, Permission, Response, Site, nix32};

/// One recording, and the daemon it is replayed against.
pub struct Replay {
    recording: Value,
    site: Site,
    /// Token by its recorded name.
    tokens: Vec<(&'static str, String)>,
    /// By number of the capture: the value our server issued in the place of the recorder's.
    issued: Vec<Option<String>>,
    /// Full store paths with the cache they were pushed to.
    pushed: Vec<(String, String)>,
}

impl Replay {
    pub fn new(recording: Value) -> Self {
        Self::with(recording, |_, _| {})
    }

    /// [`Self::new`] with changes to the config.
    pub fn with(recording: Value, edit: impl Fn(&mut Value, &Value)) -> Self {
        let site = Site::with_files(|config, directory| {
            config["caches"][0]["name"] = json!("main");
            for (index, cache) in [(0, "main"), (1, "priv")] {
                let key = directory.join(format!("{cache}.key"));
                fs::write(&key, server_key(&recording, cache)).unwrap();
                config["caches"][index]["signing-key-file"] = json!(key);
            }
            config["caches"][0]["compression"] = json!(preferred_compression(&recording));
            for cache in config["caches"].as_array_mut().unwrap() {
                cache["priority"] = json!(41);
            }
            edit(config, &recording);
        });
        // Whoever registers a key has made the cache.
        let registers = recording["client_key_pair"].is_object();
        let permission = if registers { "admin" } else { "write" };
        let tokens = vec![
            ("recorded-auth-token", site.create_token(&["--all", "--permission", permission])),
            ("recorded-read-token", site.create_token(&["--all", "--permission", "read"])),
        ];
        let captures = recording["captures"].as_array().map_or(0, Vec::len);
        Self { recording, site, tokens, issued: vec![None; captures], pushed: Vec::new() }
    }

    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The full store paths that were pushed so far.
    pub fn pushed(&self) -> Vec<&str> {
        self.pushed.iter().map(|(path, _)| path.as_str()).collect()
    }

    /// Takes every value of the recorder's for one that our server has issued.
    pub fn keep_recorded_values(&mut self) {
        let captures = self.recording["captures"].as_array().unwrap();
        self.issued = captures.iter().map(|capture| capture["value"].as_str().map(str::to_owned)).collect();
    }

    pub fn run(&mut self) {
        for exchange in self.recording["exchanges"].as_array().unwrap().clone() {
            assert_eq!(exchange["connection"], "http");
            // A fault that the recorder injected.
            if exchange["response"]["status"] != 503 {
                self.exchange(&exchange);
            }
        }
    }

    /// Sends one request and compares the answer with the recorded one.
    pub fn exchange(&mut self, exchange: &Value) {
        let reply = self.send(exchange);
        compare::reply(exchange, &reply);
        self.take_issued(exchange, &reply);
        self.note_pushed(exchange);
    }

    /// Sends one recorded request with our server's values in it.
    pub fn send(&self, exchange: &Value) -> Response {
        let request = &exchange["request"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut host = text(&request["headers"]["Host"]);
        let mut target = text(&request["target"]);
        let mut body = recorded_body(request);
        for (at, recorded, ours) in self.used_by(&exchange["seq"]) {
            match at {
                "request.target" => {
                    let url = ours.strip_prefix("http://").expect("an absolute URL");
                    let (name, path) = url.split_once('/').unwrap();
                    (host, target) = (name.to_owned(), format!("/{path}"));
                    // The path and query captures are parts of the recorder's own URL.
                    break;
                }
                "request.path" | "request.query.uploadId" => {
                    let old = [percent_encode(recorded), recorded.to_owned()];
                    let old =
                        old.iter().find(|old| target.contains(*old)).expect("the recorded value is there");
                    let new =
                        if recorded.starts_with("nar/") { ours.to_owned() } else { percent_encode(ours) };
                    target = target.replace(old, &new);
                }
                _ => {
                    let pointer = json_pointer(at.strip_prefix("request.body").expect("in the body"));
                    let mut json: Value = serde_json::from_slice(body.as_deref().unwrap()).unwrap();
                    *json.pointer_mut(&pointer).unwrap() = json!(ours);
                    body = Some(json.to_string().into_bytes());
                }
            }
        }

        let endpoint = self.site.on_host(&host);
        let mut replayed: Request = endpoint.request(request["method"].as_str().unwrap(), &target);
        for (name, value) in request["headers"].as_object().unwrap() {
            match name.as_str() {
                "Host" | "Content-Length" => {}
                "Authorization" => {
                    replayed = replayed.header(name, &self.authorization(value.as_str().unwrap()))
                }
                _ => replayed = replayed.header(name, value.as_str().unwrap()),
            }
        }
        match body {
            Some(body) => replayed.body(body).send(),
            None => replayed.send(),
        }
    }

    /// Place, recorded value and our value of everything the request uses; a whole URL comes first.
    fn used_by(&self, seq: &Value) -> Vec<(&str, &str, &str)> {
        let mut used = Vec::new();
        let captures = self.recording["captures"].as_array().map_or(&[][..], Vec::as_slice);
        for (capture, ours) in captures.iter().zip(&self.issued) {
            for place in capture["used"].as_array().unwrap() {
                if &place["seq"] == seq {
                    let ours = ours.as_deref().unwrap_or_else(|| panic!("used before issued: {capture}"));
                    used.push((place["at"].as_str().unwrap(), capture["value"].as_str().unwrap(), ours));
                }
            }
        }
        used.sort_by_key(|(at, ..)| *at != "request.target");
        used
    }

    /// Notes what our server issued where the recorder had issued something.
    fn take_issued(&mut self, exchange: &Value, reply: &Response) {
        for (index, capture) in self.recording["captures"].as_array().unwrap().iter().enumerate() {
            if capture["issued"]["seq"] != exchange["seq"] || capture["issued"].get("frame").is_some() {
                continue;
            }
            let value = match capture["issued"]["at"].as_str().unwrap() {
                "response.headers.ETag" => reply.header("ETag").expect("an ETag").to_owned(),
                "response.body: URL field" => NarInfo::parse(reply.text()).url,
                "response.body.publicSigningKeys[]" => {
                    let key = reply.json()["publicSigningKeys"][0].as_str().unwrap().to_owned();
                    assert_eq!(key, capture["value"].as_str().unwrap(), "the keys were given");
                    key
                }
                at => {
                    let pointer = json_pointer(at.strip_prefix("response.body").expect("in the body"));
                    reply.json().pointer(&pointer).unwrap().as_str().unwrap().to_owned()
                }
            };
            self.issued[index] = Some(value);
        }
    }

    fn note_pushed(&mut self, exchange: &Value) {
        let request = &exchange["request"];
        let (path, host) = (request["path"].as_str().unwrap(), request["headers"]["Host"].as_str().unwrap());
        if exchange["response"]["status"] != 200 {
            return;
        }
        let body = request["body_text"].as_str();
        if path.ends_with("/complete") {
            let body: Value = serde_json::from_str(body.unwrap()).unwrap();
            let create = &body["narInfoCreate"];
            let text = |key: &str| create[key].as_str().unwrap();
            let store_path = format!("/nix/store/{}-{}", text("cStoreHash"), text("cStoreSuffix"));
            self.pushed.push((store_path, path.split('/').nth(4).unwrap().to_owned()));
        } else if request["method"] == "PUT" && path.ends_with(".narinfo") {
            let cache = host.strip_suffix(&format!(".{HOST}")).unwrap();
            self.pushed.push((NarInfo::parse(body.unwrap()).store_path, cache.to_owned()));
        }
    }

    fn authorization(&self, recorded: &str) -> String {
        if let Some(credentials) = recorded.strip_prefix("Basic ") {
            let credentials = String::from_utf8(STANDARD.decode(credentials).unwrap()).unwrap();
            let (user, token) = credentials.split_once(':').unwrap();
            return format!("Basic {}", STANDARD.encode(format!("{user}:{}", self.token(token))));
        }
        format!("Bearer {}", self.token(recorded.strip_prefix("Bearer ").unwrap()))
    }

    fn token<'a>(&'a self, recorded: &'a str) -> &'a str {
        self.tokens.iter().find(|(name, _)| *name == recorded).map_or(recorded, |(_, token)| token)
    }

    fn reader(&self, store_path: &str) -> Reader {
        let (_, cache) = self.pushed.iter().find(|(path, _)| path == store_path).expect("it was pushed");
        Reader::new(self.site.cache(cache)).with_token(&self.site.token(cache, Permission::Read))
    }

    /// The narinfo of a path that was pushed.
    pub fn narinfo(&self, store_path: &str) -> NarInfo {
        let hash = &store_path["/nix/store/".len()..][..32];
        NarInfo::parse(self.reader(store_path).get(&format!("{hash}.narinfo")).expect(200).text())
    }

    /// Compares every path that was pushed with the ground truth from Nix's database.
    pub fn check_pushed_paths(&self) {
        for (store_path, cache) in &self.pushed {
            let truths = self.recording["store_paths"].as_array().unwrap();
            let truth = truths.iter().find(|truth| truth["path"] == *store_path).expect("a recorded path");
            let info = self.narinfo(store_path);
            assert_eq!(info.store_path, *store_path);
            assert_eq!(info.nar_hash, truth["narHash"].as_str().unwrap());
            assert_eq!(info.nar_size, truth["narSize"].as_u64().unwrap());
            assert_eq!(json!(info.references), truth["references"], "{store_path}");
            assert_eq!(json!(info.deriver), truth["deriver"], "{store_path}");

            let file = self.reader(store_path).get(&info.url).expect(200).body;
            assert_eq!(file.len() as u64, info.file_size);
            assert_eq!(Sha256::digest(&file).to_vec(), info.file_hash_bytes());
            let compression = if info.compression == "xz" { Compression::Xz } else { Compression::Zstd };
            let nar = compression.decompress(&file);
            assert_eq!(format!("sha256:{}", nix32::encode(&Sha256::digest(nar))), info.nar_hash);

            let expected = self.expected_signature(cache, &info.fingerprint());
            assert!(info.signatures.contains(&expected), "{expected} in {:?}", info.signatures);
        }
    }

    /// The signature that the recorder's key for the cache, or on `self` the client's key, makes. Ed25519 has but one.
    fn expected_signature(&self, cache: &str, fingerprint: &str) -> String {
        let key = if cache == "self" {
            let pair = &self.recording["client_key_pair"];
            format!("{}:{}", pair["keyName"].as_str().unwrap(), pair["secretKey"].as_str().unwrap())
        } else {
            server_key(&self.recording, cache)
        };
        let (name, key) = parse_secret_key(&key);
        format!("{name}:{}", STANDARD.encode(key.sign(fingerprint.as_bytes()).to_bytes()))
    }
}

/// The recorder's key for a cache as a Nix secret key.
fn server_key(recording: &Value, cache: &str) -> String {
    let key = &recording["server_signing_keys"][cache];
    format!("{}:{}", key["keyName"].as_str().unwrap(), key["secretKey"].as_str().unwrap())
}

fn parse_secret_key(text: &str) -> (&str, SigningKey) {
    let (name, key) = text.split_once(':').unwrap();
    let key: [u8; 64] = STANDARD.decode(key).unwrap().try_into().unwrap();
    (name, SigningKey::from_keypair_bytes(&key).unwrap())
}

/// `NAME:BASE64` of the public half of a Nix secret key.
pub fn public_key_of(secret: &str) -> String {
    let (name, key) = parse_secret_key(secret);
    format!("{name}:{}", STANDARD.encode(key.verifying_key().to_bytes()))
}

/// What the recorded cache `main` preferred at first, as the config says it.
fn preferred_compression(recording: &Value) -> &'static str {
    let replies = recording["exchanges"].as_array().unwrap().iter();
    let mut bodies = replies.filter_map(|exchange| exchange["response"]["body_text"].as_str());
    let first = bodies.find(|body| body.contains("preferredCompressionMethod"));
    if first.is_some_and(|body| body.contains("\"XZ\"")) { "xz" } else { "zstd" }
}

pub fn recorded_body(request: &Value) -> Option<Vec<u8>> {
    if let Some(text) = request["body_text"].as_str() {
        return Some(text.as_bytes().to_vec());
    }
    if let Some(base64) = request["body_base64"].as_str() {
        return Some(STANDARD.decode(base64).unwrap());
    }
    request.get("body_file").map(bodies::slice)
}

/// `.parts[0].eTag` as `/parts/0/eTag`.
fn json_pointer(place: &str) -> String {
    place.replace(['.', '['], "/").replace(']', "")
}
