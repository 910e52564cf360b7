//! The requests of the Cachix API that a push needs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG};
use http::{Method, StatusCode};
use nix_formats::{SigningKey, StorePath, StorePathHash, fingerprint};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::client::{Answer, Call, Client, origin};
use super::error::PushError;
use super::pack::{Packed, Packing, Part};
use super::store::PathInfo;

/// Hashes in one question, as many as the cachix client asks for.
const BATCH: usize = 32_768;

/// How long a server may verify a large NAR and move it to a storage far away.
const COMMIT: Duration = Duration::from_secs(900);

/// The request whose URL says by itself who may send it.
const PART: &str = "a part";

/// A cache on a server.
#[derive(Debug)]
pub struct Server {
    client: Client,
    url: Url,
    cache: String,
}

/// What the server tells of a cache.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheInfo {
    permission: Permission,
    preferred_compression_method: Preferred,
    #[serde(default)]
    public_signing_keys: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Permission {
    Read,
    #[serde(other)]
    More,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Preferred {
    #[serde(rename = "XZ")]
    Xz,
    #[serde(other)]
    Zstd,
}

impl CacheInfo {
    /// Whether the cache prefers xz to zstd.
    pub fn prefers_xz(&self) -> bool {
        self.preferred_compression_method == Preferred::Xz
    }

    /// Whether one of the keys of the cache is this one.
    pub fn knows(&self, key: &SigningKey) -> bool {
        let bare = |text: &str| text.rsplit(':').next().map(str::to_owned);
        let own = bare(&key.public_key().to_string());
        self.public_signing_keys.iter().any(|known| bare(known) == own)
    }
}

/// An upload that the server has opened.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    nar_id: String,
    upload_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartUrl {
    upload_url: String,
}

/// A part that has arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its number.
    pub number: u32,
    /// The entity tag that the server gave it, if it gave one.
    pub etag: Option<String>,
}

impl Server {
    /// The cache of that name on the server at `url`.
    ///
    /// # Errors
    ///
    /// If the token cannot be part of a header.
    pub fn new(url: Url, cache: String, token: Option<&str>, patience: Duration) -> Result<Self, PushError> {
        Ok(Self { client: Client::new(token, patience)?, url, cache })
    }

    /// The name of the cache.
    pub fn cache(&self) -> &str {
        &self.cache
    }

    /// The URL of the server.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Asks for the properties of the cache.
    ///
    /// # Errors
    ///
    /// If it does not exist, or the token does not count.
    pub async fn info(&self) -> Result<CacheInfo, PushError> {
        let what = "access to the cache";
        let url = self.endpoint(&[]);
        let call = Call {
            what,
            method: Method::GET,
            url,
            headers: Vec::new(),
            body: Bytes::new(),
            is_authorized: true,
            grace: Duration::ZERO,
        };
        let info: CacheInfo = self.decode(&self.client.send_repeatedly(&call).await?)?;
        if info.permission == Permission::Read {
            let cache = self.cache.clone();
            return Err(match self.client.has_token() {
                true => PushError::ReadOnly { cache },
                false => PushError::NoToken { cache },
            });
        }
        Ok(info)
    }

    /// Asks which of the paths the cache lacks.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn missing(&self, paths: &[StorePath]) -> Result<Vec<StorePathHash>, PushError> {
        let mut missing = Vec::new();
        for batch in paths.chunks(BATCH) {
            let hashes: Vec<String> = batch.iter().map(|path| path.hash().to_string()).collect();
            let call =
                Call::json("the question what is missing", self.endpoint(&["narinfo"]), &json!(hashes));
            let answer: Vec<String> = self.decode(&self.client.send_repeatedly(&call).await?)?;
            for hash in answer {
                missing.push(hash.parse().map_err(|_| self.malformed("a store hash is not one".to_owned()))?);
            }
        }
        Ok(missing)
    }

    /// Opens an upload.
    ///
    /// # Errors
    ///
    /// If the server refuses it, as without a token.
    pub async fn open(&self, packing: Packing) -> Result<Opened, PushError> {
        let mut url = self.endpoint(&["multipart-nar"]);
        url.query_pairs_mut().append_pair("compression", packing.name());
        let call = Call::json("the upload", url, &Value::Null);
        self.decode(&self.client.send_repeatedly(&Call { body: Bytes::new(), ..call }).await?)
    }

    /// Uploads a part.
    ///
    /// # Errors
    ///
    /// If the server does not take it.
    pub async fn put(&self, opened: &Opened, part: Part) -> Result<Arrived, PushError> {
        let md5 = BASE64.encode(part.md5);
        let mut url = self.upload(opened, None);
        url.query_pairs_mut().append_pair("partNumber", &part.number.to_string());
        let call = Call::json("the announcement of a part", url, &json!({ "contentMD5": md5 }));
        let target: PartUrl = self.decode(&self.client.send_repeatedly(&call).await?)?;
        let url = Url::parse(&target.upload_url)
            .map_err(|error| self.malformed(format!("the URL for a part is none: {error}")))?;
        let headers =
            vec![(CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()), ("content-md5", md5)];
        let call = Call {
            what: PART,
            method: Method::PUT,
            url,
            headers,
            body: part.bytes,
            is_authorized: false,
            grace: Duration::ZERO,
        };
        let answer = self.client.send_repeatedly(&call).await?;
        let etag = answer.headers.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        Ok(Arrived { number: part.number, etag })
    }

    /// Completes an upload: from then on the path counts.
    ///
    /// # Errors
    ///
    /// If the server does not accept it.
    pub async fn complete(
        &self,
        opened: &Opened,
        parts: &[Arrived],
        description: &Value,
    ) -> Result<(), PushError> {
        let listed: Option<Vec<Value>> = parts
            .iter()
            .map(|part| part.etag.as_ref().map(|etag| json!({ "partNumber": part.number, "eTag": etag })))
            .collect();
        let body = json!({ "parts": listed, "narInfoCreate": description });
        let call = Call::json("the path", self.upload(opened, Some("complete")), &body);
        self.client.send_repeatedly(&Call { grace: COMMIT, ..call }).await.map(drop)
    }

    /// Tells the server that an upload will not be completed. It finds out by itself if that fails.
    pub async fn abort(&self, opened: &Opened) {
        let call = Call::json("the end of an upload", self.upload(opened, Some("abort")), &Value::Null);
        let _ = self.client.send(&Call { body: Bytes::new(), ..call }).await;
    }

    fn upload(&self, opened: &Opened, action: Option<&str>) -> Url {
        let mut segments = vec!["multipart-nar", &opened.nar_id];
        segments.extend(action);
        let mut url = self.endpoint(&segments);
        url.query_pairs_mut().append_pair("uploadId", &opened.upload_id);
        url
    }

    fn endpoint(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "cache", self.cache.as_str()]).extend(segments);
        }
        url
    }

    fn decode<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, PushError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.malformed(error.to_string()))
    }

    fn malformed(&self, reason: String) -> PushError {
        PushError::Malformed { server: origin(&self.url), reason }
    }
}

/// The description of a path, as `complete` takes it.
pub fn describe(info: &PathInfo, packed: &Packed, key: Option<&SigningKey>, omit_deriver: bool) -> Value {
    let signature = key.map(|key| {
        let text = fingerprint(&info.path, &info.nar_hash, info.nar_size, &info.references);
        let named = key.sign(&text).to_string();
        named.rsplit(':').next().unwrap_or_default().to_owned()
    });
    let mut references: Vec<String> = info.references.iter().map(StorePath::base_name).collect();
    references.sort_unstable();
    let deriver = info.deriver.as_ref().filter(|_| !omit_deriver);
    json!({
        "cStoreHash": info.path.hash().to_string(),
        "cStoreSuffix": info.path.name(),
        "cNarHash": packed.nar_hash.to_prefixed(),
        "cNarSize": packed.nar_size,
        "cFileHash": packed.file_hash.to_hex(),
        "cFileSize": packed.file_size,
        "cReferences": references,
        "cDeriver": deriver.map_or_else(|| "unknown-deriver".to_owned(), StorePath::base_name),
        "cSig": signature,
    })
}

/// Whether the server does not know an upload any more, as after a restart, or the URL of a part has expired: then the upload of
/// the path starts over.
pub fn is_lost(error: &PushError) -> bool {
    match error {
        PushError::Refused { status, what, .. } => {
            *status == StatusCode::NOT_FOUND || (*status == StatusCode::FORBIDDEN && what == PART)
        }
        _ => false,
    }
}
