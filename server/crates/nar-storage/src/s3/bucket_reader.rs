//! URLs by which the objects of somebody else's bucket are read with plain HTTP: signed where there are credentials.
//!
//! The SDK finds the credentials and signs; connections, timeouts and redirects are the caller's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::presigning::PresigningConfig;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

use super::S3Credentials;
use super::client::{found_credentials, given_credentials, http_client, service};

/// How long a URL is good for. It is used at once.
const EXPIRES: Duration = Duration::from_secs(15 * 60);
/// How long it is believed that there are no credentials.
const BELIEVE_NONE: Duration = Duration::from_secs(60);
/// How long it takes until credentials are looked for again that could not be read.
const RETRY: Duration = Duration::from_secs(10);

/// Somebody else's bucket, as its URL describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSettings {
    /// Its name.
    pub bucket: String,
    /// The prefix of all keys, without slashes at its ends. May be empty.
    pub prefix: String,
    /// The region for which requests are signed.
    pub region: String,
    /// The base URL of the service. `None` means AWS in the region.
    pub endpoint: Option<String>,
    /// Whether the path names the bucket instead of the host name.
    pub force_path_style: bool,
    /// The profile in the files of AWS whose credentials count.
    pub profile: Option<String>,
}

/// Why there is no URL for an object.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BucketError {
    /// Credentials are configured for this machine, and cannot be had.
    #[error("cannot get credentials of AWS: {0}")]
    Credentials(String),
    /// The request cannot be signed.
    #[error("cannot sign a request: {0}")]
    Sign(String),
}

/// Makes URLs for the objects of a bucket.
pub struct BucketReader {
    settings: BucketSettings,
    signer: Mutex<Option<Known>>,
}

/// A signer, and what it was made of.
struct Known {
    keys: Option<S3Credentials>,
    since: Instant,
    signer: Shared<BoxFuture<'static, Result<Arc<Signer>, BucketError>>>,
}

enum Signer {
    Signing(Box<Client>),
    /// There are no credentials, as is right for a public bucket.
    Anonymous,
}

impl BucketReader {
    /// Makes a reader. Nothing is read or sent yet.
    pub fn new(settings: BucketSettings) -> Self {
        Self { settings, signer: Mutex::default() }
    }

    /// Returns the URL under which the bucket is known whatever its style: its path names the bucket, and ends in a slash.
    pub fn base_url(&self) -> String {
        let BucketSettings { bucket, prefix, .. } = &self.settings;
        let service = self.service_url();
        if prefix.is_empty() {
            format!("{service}/{bucket}/")
        } else {
            format!("{service}/{bucket}/{prefix}/")
        }
    }

    fn service_url(&self) -> String {
        match &self.settings.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com", self.settings.region),
        }
    }

    /// Returns the URL of an object below the prefix. `keys` are those of the configuration; without them, they come from the
    /// environment, the profile or the role of the machine, and if there are none, the URL is not signed.
    ///
    /// # Errors
    ///
    /// If credentials are configured for this machine, and cannot be had.
    pub async fn url_of(&self, key: &str, keys: Option<S3Credentials>) -> Result<String, BucketError> {
        let key = match self.settings.prefix.as_str() {
            "" => key.to_owned(),
            prefix => format!("{prefix}/{key}"),
        };
        let signer = self.signer(keys);
        match &*signer.await? {
            Signer::Anonymous => Ok(self.plain_url(&key)),
            Signer::Signing(client) => {
                let failed = |error: String| BucketError::Sign(error);
                let expires =
                    PresigningConfig::expires_in(EXPIRES).map_err(|error| failed(error.to_string()))?;
                let get = client.get_object().bucket(&self.settings.bucket).key(key);
                let signed = get.presigned(expires).await;
                let signed = signed.map_err(|error| match find_credentials_error(&error) {
                    Some(error) => BucketError::Credentials(error.to_string()),
                    None => failed(error.to_string()),
                })?;
                Ok(signed.uri().to_owned())
            }
        }
    }

    /// Returns the signer for the keys. It is made once for all who wait, and goes on if they do not.
    fn signer(
        &self,
        keys: Option<S3Credentials>,
    ) -> Shared<BoxFuture<'static, Result<Arc<Signer>, BucketError>>> {
        let mut known = self.signer.lock();
        if let Some(known) = &*known
            && known.keys == keys
            && !known.is_stale()
        {
            return known.signer.clone();
        }
        let making = tokio::spawn(make_signer(self.settings.clone(), keys.clone()));
        let signer = making
            .map(|made| made.unwrap_or_else(|error| Err(BucketError::Credentials(error.to_string()))))
            .boxed()
            .shared();
        *known = Some(Known { keys, since: Instant::now(), signer: signer.clone() });
        signer
    }

    /// The URL of an object that everybody may read.
    fn plain_url(&self, key: &str) -> String {
        let (service, bucket) = (self.service_url(), &self.settings.bucket);
        let key = encode(key);
        // The certificate of AWS does not cover names with dots.
        if self.settings.force_path_style || bucket.contains('.') {
            return format!("{service}/{bucket}/{key}");
        }
        match service.split_once("://") {
            Some((scheme, host)) => format!("{scheme}://{bucket}.{host}/{key}"),
            None => format!("{service}/{bucket}/{key}"),
        }
    }
}

impl Known {
    fn is_stale(&self) -> bool {
        match self.signer.peek() {
            None => false,
            Some(Ok(signer)) => matches!(**signer, Signer::Anonymous) && self.since.elapsed() > BELIEVE_NONE,
            Some(Err(_)) => self.since.elapsed() > RETRY,
        }
    }
}

async fn make_signer(
    settings: BucketSettings,
    keys: Option<S3Credentials>,
) -> Result<Arc<Signer>, BucketError> {
    let (http, region) = (http_client(), Region::new(settings.region));
    let credentials = match &keys {
        Some(keys) => given_credentials(keys),
        None => {
            let found = found_credentials(&http, &region, settings.profile.as_deref()).await;
            let Some(found) = found else { return Ok(Arc::new(Signer::Anonymous)) };
            match found.provide_credentials().await {
                Ok(_) => found,
                // A profile that is named has to be there.
                Err(CredentialsError::CredentialsNotLoaded(_)) if settings.profile.is_none() => {
                    return Ok(Arc::new(Signer::Anonymous));
                }
                Err(error) => return Err(BucketError::Credentials(chain(&error))),
            }
        }
    };
    let mut config = service(http, region, settings.endpoint, settings.force_path_style);
    config.set_credentials_provider(Some(credentials));
    Ok(Arc::new(Signer::Signing(Box::new(Client::from_conf(config.build())))))
}

fn find_credentials_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e CredentialsError> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// An error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Encodes a key for the path of a URL.
fn encode(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings() -> BucketSettings {
        BucketSettings {
            bucket: "nars".to_owned(),
            prefix: String::new(),
            region: "eu-west-1".to_owned(),
            endpoint: None,
            force_path_style: false,
            profile: None,
        }
    }

    #[test]
    fn a_bucket_has_one_base_whatever_its_style() {
        let base = |settings| BucketReader::new(settings).base_url();
        assert_eq!(base(settings()), "https://s3.eu-west-1.amazonaws.com/nars/");
        let other = BucketSettings {
            endpoint: Some("http://s3.example.org:9000/".to_owned()),
            prefix: "a/b".to_owned(),
            ..settings()
        };
        assert_eq!(base(other), "http://s3.example.org:9000/nars/a/b/");
    }

    #[test]
    fn objects_that_everybody_may_read_have_plain_urls() {
        let plain = |settings| BucketReader::new(settings).plain_url("nar/a b.nar");
        assert_eq!(plain(settings()), "https://nars.s3.eu-west-1.amazonaws.com/nar/a%20b.nar");
        let dotted = BucketSettings { bucket: "n.a".to_owned(), ..settings() };
        assert_eq!(plain(dotted), "https://s3.eu-west-1.amazonaws.com/n.a/nar/a%20b.nar");
        let own = BucketSettings {
            endpoint: Some("http://h:9000".to_owned()),
            force_path_style: true,
            ..settings()
        };
        assert_eq!(plain(own), "http://h:9000/nars/nar/a%20b.nar");
    }

    #[tokio::test]
    async fn urls_are_signed_with_the_keys_of_the_configuration_and_do_not_show_the_secret() {
        let settings = BucketSettings {
            endpoint: Some("http://h:9000".to_owned()),
            force_path_style: true,
            prefix: "main".to_owned(),
            ..settings()
        };
        let reader = BucketReader::new(settings);
        let keys = |secret: &str| {
            Some(S3Credentials { access_key: "GK1".to_owned(), secret_key: secret.to_owned() })
        };
        let url = reader.url_of("x.narinfo", keys("hunter2")).await.unwrap();
        assert!(url.starts_with("http://h:9000/nars/main/x.narinfo?"), "{url}");
        assert!(url.contains("X-Amz-Signature=") && url.contains("eu-west-1"), "{url}");
        assert!(!url.contains("hunter2"), "{url}");
        // Other keys count at once.
        let signature = |url: &str| url.split("X-Amz-Signature=").nth(1).unwrap().to_owned();
        let other = reader.url_of("x.narinfo", keys("another")).await.unwrap();
        assert_ne!(signature(&url), signature(&other));
    }
}
