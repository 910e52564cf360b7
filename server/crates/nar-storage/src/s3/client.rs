//! The clients of the service: signatures, connections, retries and timeouts.

use std::time::Duration;

use aws_config::ConfigLoader;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, IdentityCache, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::{Client, Config};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use super::{S3Credentials, S3Settings};

/// How long a reader waits for the first byte of an object, or for the reply that it is missing, over all requests and attempts.
pub(super) const IN_TIME: Duration = Duration::from_millis(1800);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// Clients with different timeouts that share their connections.
pub(super) struct Clients {
    /// For requests of readers, which fail over if there is no reply. The caller bounds the total time with
    /// [`in_time`](super::S3Storage::in_time).
    pub(super) quick: Client,
    /// For requests with small bodies that should succeed, within 20 s in total.
    pub(super) patient: Client,
    /// For requests with large bodies. The caller watches the [progress](super::progress::Progress).
    pub(super) upload: Client,
    /// Whether the first request looks up credentials.
    searching: bool,
}

impl Clients {
    /// Creates the clients without sending a request.
    pub(super) async fn new(settings: &S3Settings) -> Self {
        let http = http_client();
        let region = Region::new(settings.region.clone());
        let credentials = match &settings.credentials {
            Some(given) => Some(given_credentials(given)),
            None => found_credentials(&http, &region, settings.profile.as_deref()).await,
        };
        let mut base = service(http, region, settings.endpoint.clone(), settings.force_path_style)
            // Bodies are watched in both directions, by rules of our own.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_classifier(TooManyRequests);
        base.set_credentials_provider(credentials);

        let quick = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(Duration::from_millis(1500))
            .operation_timeout(IN_TIME);
        let patient = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(Duration::from_secs(10))
            .operation_timeout(Duration::from_secs(20));
        let upload = TimeoutConfig::builder().connect_timeout(CONNECT);

        // Retries are paid for from an account that fills with successes. It is not to be shared: what a dead service
        // spends, others would lack, and what readers spend, writers.
        let build = |kind: &str, timeouts: TimeoutConfig, retries: RetryConfig| {
            let partition = format!("{} {} {kind}", settings.name, settings.prefix);
            let base = base.clone().retry_partition(RetryPartition::new(partition));
            Client::from_conf(base.timeout_config(timeouts).retry_config(retries).build())
        };
        Self {
            quick: build("read", quick.build(), retries(3, Duration::from_millis(50))),
            patient: build("call", patient.build(), retries(5, Duration::from_millis(200))),
            upload: build("upload", upload.build(), retries(5, Duration::from_millis(200))),
            searching: settings.credentials.is_none(),
        }
    }

    /// For finding out whether the service works. The places that the SDK gets credentials from can be slow; those
    /// that read find them in memory.
    pub(super) fn trial(&self) -> &Client {
        if self.searching { &self.patient } else { &self.quick }
    }
}

/// Pinned: a newer one may bring other retries and timeouts.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

fn retries(attempts: u32, first_pause: Duration) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(first_pause)
        .with_max_backoff(Duration::from_secs(5))
}

/// The connections of the SDK.
pub(super) fn http_client() -> SharedHttpClient {
    let provider = Provider::Rustls(CryptoMode::Ring);
    aws_smithy_http_client::Builder::new().tls_provider(provider).build_https()
}

/// The settings of every client of a service.
pub(super) fn service(
    http: SharedHttpClient,
    region: Region,
    endpoint: Option<String>,
    force_path_style: bool,
) -> Builder {
    let mut settings = Config::builder()
        .behavior_version(behavior())
        .http_client(http)
        .region(region)
        .force_path_style(force_path_style)
        // What the SDK would like to add is refused by Garage, older MinIO and others.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .identity_cache(IdentityCache::lazy().build());
    settings.set_endpoint_url(endpoint);
    settings
}

/// Credentials that the configuration gives.
pub(super) fn given_credentials(given: &S3Credentials) -> SharedCredentialsProvider {
    let given = Credentials::new(&given.access_key, &given.secret_key, None, None, "configuration");
    SharedCredentialsProvider::new(given)
}

/// Credentials from the SDK's own places, of this profile if one is named. Everything else is said in the configuration.
pub(super) async fn found_credentials(
    http: &SharedHttpClient,
    region: &Region,
    profile: Option<&str>,
) -> Option<SharedCredentialsProvider> {
    let mut loader: ConfigLoader =
        aws_config::defaults(behavior()).http_client(http.clone()).region(region.clone());
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await.credentials_provider()
}

/// Retries what is answered with 429, which the SDK does only where the body says so too.
#[derive(Debug)]
struct TooManyRequests;

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, answer: &InterceptorContext) -> RetryAction {
        match answer.response().map(|response| response.status().as_u16()) {
            Some(429) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "too many requests"
    }
}
