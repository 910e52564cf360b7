//! What a bucket is reached with.

use std::{fmt, path::PathBuf, time::Duration};

/// A place in a bucket of an S3-compatible service.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Name from the configuration, for messages.
    pub name: String,
    /// The bucket, which has to exist.
    pub bucket: String,
    /// What all keys start with, without slashes at its ends: `<root>/<cache>`. May be empty.
    pub prefix: String,
    /// Region that requests are signed for. Services that know no regions accept any.
    pub region: String,
    /// Base URL of the service, `http` or `https`; AWS's own for the region when none.
    pub endpoint: Option<String>,
    /// Name the bucket in the path instead of the host name.
    pub force_path_style: bool,
    /// What requests are signed with. Without it, what the AWS SDK finds: environment, profile, web identity, container
    /// or instance role.
    pub credentials: Option<S3Credentials>,
    /// Directory of its own for uploads on their way, which is created. What is in it is removed at start.
    pub spool_dir: PathBuf,
    /// Whether clients may be sent to the service itself, see [`Storage::presign_get`](crate::Storage::presign_get).
    pub redirect: bool,
    /// Age from which on an unfinished multipart upload below the prefix is one that a crash has left, and is removed,
    /// and how often such are looked for. Longer than any upload takes: other daemons may be at work on the same bucket.
    pub abandoned_after: Duration,
}

impl S3Settings {
    /// A fitting [`abandoned_after`](Self::abandoned_after): one day.
    pub const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
}

/// A key pair of an S3-compatible service.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}
