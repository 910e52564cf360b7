//! A bucket as others see it.

use std::collections::BTreeMap;

use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::{Client, Config};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::garage;

/// The bucket of a [`garage::Garage`], by the SDK itself.
pub struct Bucket {
    client: Client,
}

impl Bucket {
    pub fn new(endpoint: &str) -> Self {
        let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http.build_https())
            .endpoint_url(endpoint)
            .region(Region::new(garage::REGION))
            .force_path_style(true)
            .credentials_provider(Credentials::new(
                garage::ACCESS_KEY,
                garage::SECRET_KEY,
                None,
                None,
                "test",
            ))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        Self { client: Client::from_conf(config.build()) }
    }

    pub async fn put(&self, object: &str, bytes: Vec<u8>) {
        let put = self.client.put_object().bucket(garage::BUCKET).key(object).body(bytes.into());
        put.send().await.unwrap();
    }

    pub async fn delete(&self, object: &str) {
        self.client.delete_object().bucket(garage::BUCKET).key(object).send().await.unwrap();
    }

    /// Everything there is, with its size in bytes.
    pub async fn objects(&self) -> BTreeMap<String, i64> {
        let list = self.client.list_objects_v2().bucket(garage::BUCKET).send().await.unwrap();
        let objects = list.contents.unwrap_or_default().into_iter();
        objects.map(|object| (object.key.unwrap(), object.size.unwrap())).collect()
    }

    /// Number of parts that an object was stored in; none if in one piece.
    pub async fn parts(&self, object: &str) -> Option<u32> {
        let head = self.client.head_object().bucket(garage::BUCKET).key(object).send().await.unwrap();
        let tag = head.e_tag.unwrap();
        tag.trim_matches('"').split_once('-').map(|(_, parts)| parts.parse().unwrap())
    }

    /// Begins a multipart upload and leaves it at that.
    pub async fn begin_upload(&self, object: &str) {
        self.client.create_multipart_upload().bucket(garage::BUCKET).key(object).send().await.unwrap();
    }

    /// Objects that multipart uploads are unfinished of.
    pub async fn uploads(&self) -> Vec<String> {
        let list = self.client.list_multipart_uploads().bucket(garage::BUCKET).send().await.unwrap();
        list.uploads.unwrap_or_default().into_iter().map(|upload| upload.key.unwrap()).collect()
    }
}
