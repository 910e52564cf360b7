//! The settings of a bucket.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A place in a bucket of an S3-compatible service.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The name from the configuration, for messages.
    pub name: String,
    /// The bucket, which must exist.
    pub bucket: String,
    /// The prefix of all keys, without slashes at its ends: `<root>/<cache>`. May be empty.
    pub prefix: String,
    /// The region for which requests are signed. Services without regions accept any.
    pub region: String,
    /// The base URL of the service, `http` or `https`. `None` means AWS in the region.
    pub endpoint: Option<String>,
    /// Whether the path names the bucket instead of the host name.
    pub force_path_style: bool,
    /// The credentials. Without them the AWS SDK looks them up: environment, profile, web identity, container or instance role.
    pub credentials: Option<S3Credentials>,
    /// The profile in the files of AWS whose credentials count, if none are given.
    pub profile: Option<String>,
    /// The directory of the spool, which no other storage uses. It is created, and orphans in it are removed at start.
    pub spool_dir: PathBuf,
    /// Whether clients may be redirected to the service, see [`Storage::presign_get`](crate::Storage::presign_get).
    pub redirect: bool,
    /// The age at which an unfinished multipart upload below the prefix counts as abandoned and is aborted, and the interval between
    /// searches. Longer than any upload takes, because other daemons may use the same bucket.
    pub abandoned_after: Duration,
}

impl S3Settings {
    /// The default of [`abandoned_after`](Self::abandoned_after): one day.
    pub const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
}

/// A key pair of an S3-compatible service.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}
