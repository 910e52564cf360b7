//! A bucket of a real S3 service, and how somebody else than the daemon looks into it.
//!
//! Requests are signed by hand, by Amazon's description of signature version 4 ("Authenticating Requests: Using the
//! Authorization Header").

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as FilePath;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::garage::{ACCESS_KEY, BUCKET, Garage, REGION, SECRET_KEY};
use crate::harness::http::percent_encode;
use crate::harness::{Endpoint, Response, to_hex};

/// A fresh S3 service with one empty bucket.
pub struct Bucket {
    pub service: Garage,
}

impl Bucket {
    pub fn start() -> Self {
        Self { service: Garage::start() }
    }

    /// A storage in the bucket, with its own name as its root.
    pub fn storage(&self, name: &str) -> Value {
        storage_at(&self.service.endpoint(), name)
    }

    /// Objects whose keys begin like this, with their sizes.
    #[track_caller]
    pub fn list(&self, prefix: &str) -> BTreeMap<String, u64> {
        let query = format!("list-type=2&prefix={}", percent_encode(prefix));
        let reply = self.ask("GET", &format!("/{BUCKET}"), &query, Vec::new()).expect(200);
        let text = reply.text();
        assert!(text.contains("<IsTruncated>false<"), "more than one page of objects");
        let objects = text.split("<Contents>").skip(1);
        objects.map(|object| (between(object, "Key"), between(object, "Size").parse().unwrap())).collect()
    }

    #[track_caller]
    pub fn get(&self, key: &str) -> Vec<u8> {
        self.ask("GET", &format!("/{BUCKET}/{key}"), "", Vec::new()).expect(200).body
    }

    #[track_caller]
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.ask("PUT", &format!("/{BUCKET}/{key}"), "", bytes.to_vec()).expect(200);
    }

    #[track_caller]
    pub fn delete(&self, key: &str) {
        self.ask("DELETE", &format!("/{BUCKET}/{key}"), "", Vec::new()).expect(204);
    }

    /// Copies all objects whose keys begin like this into a directory, as a static web server would have them.
    pub fn mirror(&self, prefix: &str, directory: &FilePath) {
        for key in self.list(prefix).keys() {
            let file = directory.join(&key[prefix.len()..]);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, self.get(key)).unwrap();
        }
    }

    /// `path` needs no escapes, and `query` has its parameters sorted and escaped.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, query: &str, body: Vec<u8>) -> Response {
        let address = self.service.address();
        let endpoint = Endpoint { address, host: address.to_string() };
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(['-', ':'], "");
        let digest = to_hex(&Sha256::digest(&body));
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let headers = format!("host:{address}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n");
        let request = format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{digest}");
        let scope = format!("{}/{REGION}/s3/aws4_request", &time[..8]);
        let request_digest = to_hex(&Sha256::digest(&request));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request_digest}");
        let start = format!("AWS4{SECRET_KEY}").into_bytes();
        let key = scope.split('/').fold(start, |key, step| mac(&key, step));
        let signature = to_hex(&mac(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={signed}, Signature={signature}"
        );
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let request = endpoint.request(method, &target);
        let request = request.header("x-amz-content-sha256", &digest).header("x-amz-date", &time);
        let request = request.header("Authorization", &authorization);
        if method == "PUT" { request.body(body).send() } else { request.send() }
    }
}

/// A storage in the bucket that there is at this endpoint, with its own name as its root.
pub fn storage_at(endpoint: &str, name: &str) -> Value {
    json!({
        "name": name,
        "type": "s3",
        "root": name,
        "s3_bucket": BUCKET,
        "s3_region": REGION,
        "s3_endpoint": endpoint,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
    })
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The text of the first element of this name.
fn between(xml: &str, element: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{element}>")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}
