//! The client's side of an upload (protocol reference section 4), one call per step.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::http::percent_encode;
use super::{Compression, Endpoint, Path, Response};

/// Pushes to one cache with one token.
#[derive(Clone)]
pub struct Pusher {
    pub endpoint: Endpoint,
    pub cache: String,
    pub token: String,
}

/// An upload that the server has opened.
#[derive(Clone, Debug)]
pub struct Upload {
    pub nar_id: String,
    pub upload_id: String,
}

impl Pusher {
    pub fn new(endpoint: Endpoint, cache: &str, token: &str) -> Self {
        Self { endpoint, cache: cache.to_owned(), token: token.to_owned() }
    }

    /// The API path of something of the cache.
    pub fn target(&self, rest: &str) -> String {
        format!("/api/v1/cache/{}/{rest}", self.cache)
    }

    #[track_caller]
    pub fn create(&self, compression: Compression) -> Upload {
        opened(self.try_create(compression))
    }

    /// [`Self::create`], or `None` where there is no room.
    #[track_caller]
    pub fn create_or_refuse(&self, compression: Compression) -> Option<Upload> {
        let reply = self.try_create(compression);
        (reply.status != 507).then(|| opened(reply))
    }

    /// Asks for a new upload.
    #[track_caller]
    pub fn try_create(&self, compression: Compression) -> Response {
        let target = self.target(&format!("multipart-nar?compression={}", compression.parameter()));
        self.endpoint.post(&target).bearer(&self.token).body("").send()
    }

    /// Asks for the URL of a part with the given MD5.
    #[track_caller]
    pub fn try_part_url(&self, upload: &Upload, number: i64, content_md5: &str) -> Response {
        let upload_id = percent_encode(&upload.upload_id);
        let nar_id = &upload.nar_id;
        let target = self.target(&format!("multipart-nar/{nar_id}?uploadId={upload_id}&partNumber={number}"));
        self.endpoint.post(&target).bearer(&self.token).json(&json!({"contentMD5": content_md5})).send()
    }

    #[track_caller]
    pub fn part_url(&self, upload: &Upload, number: i64, bytes: &[u8]) -> String {
        let reply = self.try_part_url(upload, number, &content_md5(bytes)).expect(200).json();
        reply["uploadUrl"].as_str().expect("uploadUrl").to_owned()
    }

    /// The PUT of a part, as the client makes it: no `Authorization`.
    #[track_caller]
    pub fn put(&self, url: &str, bytes: &[u8]) -> Response {
        self.try_put(url, bytes).unwrap_or_else(|error| panic!("PUT {url}: {error}"))
    }

    /// [`Self::put`], for what may be cut off.
    #[track_caller]
    pub fn try_put(&self, url: &str, bytes: &[u8]) -> std::io::Result<Response> {
        let (endpoint, target) = self.resolve(url);
        endpoint
            .put(&target)
            .header("Content-Type", "application/octet-stream")
            .header("Content-MD5", &content_md5(bytes))
            .body(bytes)
            .try_send()
    }

    /// Part URL and PUT; returns the ETag.
    #[track_caller]
    pub fn part(&self, upload: &Upload, number: i64, bytes: &[u8]) -> String {
        let reply = self.put(&self.part_url(upload, number, bytes), bytes).expect_success();
        let etag = reply.header("ETag").expect("a part has an ETag").to_owned();
        assert!(!etag.is_empty());
        etag
    }

    #[track_caller]
    pub fn complete(&self, upload: &Upload, parts: &Value, nar_info: &Value) -> Response {
        let target = self.target(&format!(
            "multipart-nar/{}/complete?uploadId={}",
            upload.nar_id,
            percent_encode(&upload.upload_id)
        ));
        let body = json!({"parts": parts, "narInfoCreate": nar_info});
        self.endpoint.post(&target).bearer(&self.token).json(&body).send()
    }

    #[track_caller]
    pub fn abort(&self, upload: &Upload) -> Response {
        let target = self.target(&format!(
            "multipart-nar/{}/abort?uploadId={}",
            upload.nar_id,
            percent_encode(&upload.upload_id)
        ));
        self.endpoint.post(&target).bearer(&self.token).body("").send()
    }

    /// Everything but `complete`: the file in one part.
    #[track_caller]
    pub fn upload(&self, path: &Path) -> (Upload, Value) {
        self.upload_bytes(path.compression, &path.file)
    }

    #[track_caller]
    pub fn upload_bytes(&self, compression: Compression, file: &[u8]) -> (Upload, Value) {
        let upload = self.create(compression);
        let etag = self.part(&upload, 1, file);
        (upload, parts(&[etag]))
    }

    /// A whole push that has to succeed.
    #[track_caller]
    pub fn push(&self, path: &Path) {
        let (upload, parts) = self.upload(path);
        self.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    }

    /// A whole push that announces something else than it should; returns the answer to `complete`.
    /// Pushes the path in one part. Returns the first reply that is no success, or the last.
    pub fn try_push(&self, path: &Path) -> Response {
        let created = self.try_create(path.compression);
        if created.status != 200 {
            return created;
        }
        let upload = opened(created);
        let url = self.part_url(&upload, 1, &path.file);
        let put = self.put(&url, &path.file);
        if put.status != 200 {
            return put;
        }
        let etag = put.header("ETag").expect("an ETag").to_owned();
        self.complete(&upload, &parts(&[etag]), &path.nar_info_create())
    }

    #[track_caller]
    pub fn push_announcing(&self, path: &Path, field: &str, value: Value) -> Response {
        let (upload, parts) = self.upload(path);
        let mut nar_info = path.nar_info_create();
        nar_info[field] = value;
        self.complete(&upload, &parts, &nar_info)
    }

    /// The hashes of those that the cache lacks.
    #[track_caller]
    pub fn missing(&self, hashes: &[&str]) -> Vec<String> {
        let reply =
            self.endpoint.post(&self.target("narinfo")).bearer(&self.token).json(&json!(hashes)).send();
        serde_json::from_value(reply.expect(200).json()).unwrap()
    }

    /// An absolute URL as the daemon hands it out, with the name in it but the address of this daemon: there is no DNS.
    #[track_caller]
    pub fn resolve(&self, url: &str) -> (Endpoint, String) {
        let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("an absolute URL: {url}"));
        let (host, target) = rest.split_once('/').unwrap_or_else(|| panic!("a URL with a path: {url}"));
        (self.endpoint.named(host), format!("/{target}"))
    }
}

/// The upload that a reply has opened.
#[track_caller]
fn opened(reply: Response) -> Upload {
    let reply = reply.expect(200).json();
    let text = |key: &str| reply[key].as_str().unwrap_or_else(|| panic!("{key} in {reply}")).to_owned();
    Upload { nar_id: text("narId"), upload_id: text("uploadId") }
}

/// The completion list for parts 1, 2, ….
pub fn parts(etags: &[String]) -> Value {
    etags
        .iter()
        .zip(1..)
        .map(|(etag, number): (_, i64)| json!({"partNumber": number, "eTag": etag}))
        .collect()
}

/// The base64 of the MD5.
pub fn content_md5(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}
