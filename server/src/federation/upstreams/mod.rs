//! The upstreams of the configuration as they are at run time: what they want to see, what became of the requests to them, and
//! what they are known not to have.
//!
//! Caches whose entries say the same share an upstream. An entry with other credentials is another upstream, so that no cache
//! reads with those of another one.

mod credentials;
mod header_lines;
mod netrc;
mod record;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nar_storage::{BucketReader, BucketSettings};
use nix_formats::{PublicKey, StorePathHash};
use parking_lot::RwLock;
use url::Url;

pub use self::credentials::Credentials;
pub use self::record::{LastError, UpstreamRecord};
use super::client::{Access, ClientError};
use crate::cache::keys::NIXOS_KEY;
use crate::cache::{Cache, Caches};
use crate::config::{Upstream, UpstreamCredentials};

/// Paths that an upstream is remembered not to have. Each takes some 100 bytes.
const MOST_ABSENT: usize = 32_768;

/// All upstreams of the configuration.
pub struct Upstreams {
    remotes: RwLock<Vec<Arc<Remote>>>,
    /// Files with authorities that count for HTTPS to them, beside those of this system.
    authorities: Arc<[PathBuf]>,
}

/// One upstream.
pub struct Remote {
    /// Its entry in the configuration.
    pub config: Upstream,
    /// Where its narinfos are: ends in a slash. For a bucket this identifies it, and requests go where the SDK says.
    pub base: Url,
    /// What became of the requests to it.
    pub record: UpstreamRecord,
    credentials: Credentials,
    /// `None` for a web server.
    bucket: Option<BucketReader>,
    /// Paths that it does not have, until when that is believed.
    absent: quick_cache::sync::Cache<StorePathHash, Instant>,
}

/// A request as it is to be sent.
pub struct Prepared {
    /// Where it goes.
    pub url: Url,
    /// What goes along.
    pub access: Access,
}

impl Upstreams {
    /// No upstreams yet. For HTTPS to those to come, the authorities in these files count as well.
    pub fn new(authorities: &[PathBuf]) -> Self {
        Self { remotes: RwLock::default(), authorities: authorities.into() }
    }

    /// Takes over the upstreams of the caches. Those that stay the same keep their connections and their record.
    pub fn set(&self, caches: &Caches) {
        let is_wanted = |remote: &Arc<Remote>| {
            caches.iter().any(|cache| cache.config().upstreams.contains(&remote.config))
        };
        self.remotes.write().retain(is_wanted);
        for cache in caches.iter() {
            self.of(cache);
        }
    }

    /// Returns the upstreams of a cache in the order of their priority.
    pub fn of(&self, cache: &Cache) -> Vec<Arc<Remote>> {
        cache.config().upstreams.iter().map(|upstream| self.get(upstream)).collect()
    }

    /// Returns the upstream of a cache with this URL, if the cache still has it.
    pub fn find(&self, cache: &Cache, url: &Url) -> Option<Arc<Remote>> {
        let config = cache.config();
        config.upstreams.iter().find(|upstream| upstream.url == *url).map(|upstream| self.get(upstream))
    }

    /// Returns all of them.
    pub fn all(&self) -> Vec<Arc<Remote>> {
        self.remotes.read().clone()
    }

    fn get(&self, upstream: &Upstream) -> Arc<Remote> {
        let find = |known: &[Arc<Remote>]| known.iter().find(|remote| remote.config == *upstream).cloned();
        if let Some(remote) = find(&self.remotes.read()) {
            return remote;
        }
        let mut known = self.remotes.write();
        find(&known).unwrap_or_else(|| {
            let remote = Arc::new(Remote::new(upstream.clone(), self.authorities.clone()));
            known.push(remote.clone());
            remote
        })
    }
}

impl Remote {
    fn new(config: Upstream, authorities: Arc<[PathBuf]>) -> Self {
        let bucket = config.is_bucket().then(|| BucketReader::new(bucket_settings(&config)));
        let base = match &bucket {
            Some(bucket) => Url::parse(&bucket.base_url()).unwrap_or_else(|_| with_slash(&config.url)),
            None => with_slash(&config.url),
        };
        Self {
            credentials: Credentials::new(
                &config.credentials,
                base.host_str().unwrap_or_default(),
                authorities,
            ),
            config,
            base,
            record: UpstreamRecord::default(),
            bucket,
            absent: quick_cache::sync::Cache::new(MOST_ABSENT),
        }
    }

    /// Returns the keys that count for what it has, besides those that the asking cache trusts.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let mut keys = self.config.public_keys.clone();
        if self.config.is_nixos() {
            keys.extend(PublicKey::parse(NIXOS_KEY));
        }
        keys
    }

    /// Makes the request for a URL below [`base`](Self::base).
    ///
    /// # Errors
    ///
    /// If the credentials cannot be read.
    pub async fn prepare(&self, url: &Url) -> Result<Prepared, ClientError> {
        let Some(bucket) = &self.bucket else {
            return Ok(Prepared { url: url.clone(), access: self.credentials.get().await? });
        };
        let key = url.path().strip_prefix(self.base.path()).unwrap_or_default();
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
        let keys = self.credentials.bucket_keys().await?;
        let signed =
            bucket.url_of(&key, keys).await.map_err(|error| ClientError::Credentials(error.to_string()))?;
        let url = Url::parse(&signed).map_err(|error| ClientError::Credentials(error.to_string()))?;
        Ok(Prepared { url, access: Access::default() })
    }

    /// Whether it is known not to have the path, because it said so a moment ago.
    pub fn is_known_absent(&self, path: &StorePathHash) -> bool {
        let is_absent = self.absent.get(path).is_some_and(|until| until > Instant::now());
        if is_absent {
            self.record.remembered.increment();
        }
        is_absent
    }

    /// Remembers for a while that it does not have the path.
    pub fn remember_absent(&self, path: &StorePathHash) {
        if self.config.negative_ttl > Duration::ZERO {
            self.absent.insert(*path, Instant::now() + self.config.negative_ttl);
        }
    }

    /// Returns how many paths it is remembered not to have, those included that would be asked for again.
    pub fn remembered_absent(&self) -> u64 {
        self.absent.len() as u64
    }

    /// Names the kinds of credentials that it gets, for people.
    pub fn access(&self) -> &'static str {
        let UpstreamCredentials {
            password_file,
            token_file,
            netrc_file,
            headers_file,
            client_certificate_file,
            ..
        } = &self.config.credentials;
        match () {
            () if self.bucket.is_some() => "bucket",
            () if token_file.is_some() => "token",
            () if password_file.is_some() => "password",
            () if netrc_file.is_some() => "netrc",
            () if client_certificate_file.is_some() => "certificate",
            () if headers_file.is_some() => "headers",
            () => "none",
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

fn with_slash(url: &Url) -> Url {
    let mut base = url.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    base
}

/// What the URL of a bucket says. Parameters about writing are none of our business.
fn bucket_settings(upstream: &Upstream) -> BucketSettings {
    let parameter = |wanted: &str| {
        let mut pairs = upstream.url.query_pairs();
        pairs.find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.into_owned())
    };
    let scheme = parameter("scheme").unwrap_or_else(|| "https".to_owned());
    let with_scheme = |endpoint: String| match endpoint.contains("://") {
        true => endpoint,
        false => format!("{scheme}://{endpoint}"),
    };
    let endpoint = parameter("endpoint").map(with_scheme);
    // As Nix does: a service of one's own rarely has a host name for each bucket.
    let is_path_style = match parameter("addressing-style").as_deref() {
        Some("path") => true,
        Some("virtual") => false,
        _ => endpoint.is_some(),
    };
    BucketSettings {
        bucket: upstream.url.host_str().unwrap_or_default().to_owned(),
        prefix: upstream.url.path().trim_matches('/').to_owned(),
        region: parameter("region").unwrap_or_else(|| "us-east-1".to_owned()),
        endpoint,
        force_path_style: is_path_style,
        profile: parameter("profile"),
    }
}
