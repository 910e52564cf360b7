//! Transfers by the AWS SDK alone.

use std::sync::Arc;

use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_s3::{Client, Config};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::garage;
use crate::support::Result;
use crate::support::sample::Sample;

/// Parts of one file that are sent at once.
const PARTS_AT_ONCE: usize = 4;

/// A client of the service.
pub struct Direct {
    runtime: Runtime,
    client: Client,
}

impl Direct {
    /// A client of the service at `endpoint`.
    pub fn new(endpoint: &str) -> Result<Self> {
        let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(endpoint)
            .region(Region::new(garage::REGION))
            .force_path_style(true)
            .credentials_provider(Credentials::new(
                garage::ACCESS_KEY,
                garage::SECRET_KEY,
                None,
                None,
                "bench",
            ))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { runtime, client: Client::from_conf(config) })
    }

    /// Stores the file of a sample: in parts, several at once, if it is large.
    pub fn put(&self, sample: &Sample) -> Result<()> {
        self.runtime.block_on(async {
            if sample.parts.len() > 1 {
                return self.put_parts(sample).await;
            }
            let body = ByteStream::from(sample.read_part(0)?);
            let put = self.client.put_object().bucket(garage::BUCKET).key(object(sample)).body(body);
            put.send().await?;
            Ok(())
        })
    }

    async fn put_parts(&self, sample: &Sample) -> Result<()> {
        let create = self.client.create_multipart_upload().bucket(garage::BUCKET).key(object(sample));
        let id = create.send().await?.upload_id.ok_or("no upload id")?;
        let slots = Arc::new(Semaphore::new(PARTS_AT_ONCE));
        let mut sending = JoinSet::new();
        for (index, number) in (0..sample.parts.len()).zip(1..) {
            let slot = slots.clone().acquire_owned().await?;
            let part = self.client.upload_part().bucket(garage::BUCKET).key(object(sample));
            let body = ByteStream::from(sample.read_part(index)?);
            let part = part.upload_id(&id).part_number(number).body(body);
            sending.spawn(async move {
                let sent = part.send().await;
                drop(slot);
                let etag = sent.map(|sent| sent.e_tag);
                etag.map(|etag| CompletedPart::builder().part_number(number).set_e_tag(etag).build())
            });
        }
        let mut parts = Vec::new();
        while let Some(sent) = sending.join_next().await {
            parts.push(sent??);
        }
        parts.sort_by_key(|part| part.part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(garage::BUCKET).key(object(sample));
        complete.upload_id(id).multipart_upload(parts).send().await?;
        Ok(())
    }

    /// Reads the file of a sample.
    pub fn get(&self, sample: &Sample) -> Result<()> {
        self.runtime.block_on(async {
            let get = self.client.get_object().bucket(garage::BUCKET).key(object(sample));
            let mut body = get.send().await?.body;
            let mut read = 0;
            while let Some(piece) = body.try_next().await? {
                read += piece.len() as u64;
            }
            if read == sample.file_size { Ok(()) } else { Err(format!("{read} bytes came").into()) }
        })
    }
}

fn object(sample: &Sample) -> String {
    format!("direct{}", sample.nar_target())
}
