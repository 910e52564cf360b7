use serde::{Deserialize, Serialize};

/// Brings the paths of another binary cache, or of a Nix store, into a cache.
///
/// Paths that the cache has are left alone, so a repeated import goes on where the last one ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The cache that takes the paths.
    pub cache: String,
    /// Where they are: `file:///DIRECTORY`, `s3://BUCKET/PREFIX`, `http://…`, `https://…`, `python:///FILE` (the
    /// configuration file of the original server), or a store that `nix --store` takes, such as `daemon`.
    pub source: String,
    /// The paths to import, as `/nix/store/HASH-NAME`, `HASH-NAME` or `HASH`. All of them if empty, as far as the source has a
    /// list.
    pub paths: Vec<String>,
    /// Whether to import what the paths refer to as well.
    pub closure: bool,
    /// Patterns of names, such as `linux-*`. Only paths that match one are imported; all if empty.
    pub filter: Vec<String>,
    /// How many paths are fetched at once; `None` for the daemon's own number.
    pub jobs: Option<u32>,
    /// The most bytes to fetch per second; `None` for no limit.
    pub rate: Option<u64>,
    /// Whether to fetch nothing and only report.
    pub dry_run: bool,
    /// What the source wants to see.
    #[serde(default, skip_serializing_if = "ImportCredentials::is_empty")]
    pub credentials: ImportCredentials,
}

/// What a source wants to see. The secrets are in files, as the daemon sees them, so a job that resumes reads them again. All but
/// `as_upstream` are for sources behind `http` or `https`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportCredentials {
    /// The user name that goes with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// File with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
    /// File with a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
    /// File in the format of `netrc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netrc_file: Option<String>,
    /// File with further headers, a line `Name: value` each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_file: Option<String>,
    /// File with a client certificate, and the chain above it, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_file: Option<String>,
    /// File with the private key of the certificate, in PEM; the file of the certificate if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_file: Option<String>,
    /// Whether the source is an upstream of the cache, and gets what the configuration has for that. Stands alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub as_upstream: bool,
}

impl ImportCredentials {
    /// Whether nothing is to be shown.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The files, by the names that they have in the configuration of an upstream.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let files = [
            ("password-file", &self.password_file),
            ("token-file", &self.token_file),
            ("netrc-file", &self.netrc_file),
            ("headers-file", &self.headers_file),
            ("client-certificate-file", &self.client_certificate_file),
            ("client-key-file", &self.client_key_file),
        ];
        files.into_iter().filter_map(|(name, file)| Some((name, file.as_deref()?)))
    }
}

impl ImportRequest {
    /// Whether both ask for the same paths. How fast, and with which credentials, does not matter.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let credentials = ImportCredentials::default;
        let asked =
            |request: &Self| Self { jobs: None, rate: None, credentials: credentials(), ..request.clone() };
        asked(self) == asked(other)
    }
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSummary {
    /// The source, as it was given.
    pub source: String,
    /// The cache.
    pub cache: String,
    /// Whether nothing was fetched. The counts then say what would be imported.
    pub dry_run: bool,
    /// The number of paths that were imported.
    pub imported: u64,
    /// The bytes of their files.
    pub file_bytes: u64,
    /// The bytes of their NARs.
    pub nar_bytes: u64,
    /// The number of paths that the cache had.
    pub present: u64,
    /// The number of paths that the filter left out.
    pub filtered: u64,
    /// The paths that could not be imported, by the reason.
    pub skipped: Vec<SkippedPaths>,
}

/// Paths that could not be imported or exported for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedPaths {
    /// The reason, for a person.
    pub reason: String,
    /// How many there are. A note reported each of them.
    pub paths: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

/// Writes paths of a cache as a flat binary cache, which plain Nix and any web server can read, to a directory or a bucket.
///
/// What is there already is not written again, so a repeated export goes on where the last one ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// The cache.
    pub cache: String,
    /// Where to: `file:///DIRECTORY`, as the daemon sees it, or `s3://BUCKET/PREFIX`.
    pub target: String,
    /// The paths to export with what they refer to, as `/nix/store/HASH-NAME`, `HASH-NAME` or `HASH`.
    pub paths: Vec<String>,
    /// The pin whose newest path is exported with what it refers to. Without it and without paths, all of the cache is.
    pub pin: Option<String>,
    /// How many paths are written at once; `None` for the daemon's own number.
    pub jobs: Option<u32>,
    /// The most bytes to write per second; `None` for no limit.
    pub rate: Option<u64>,
    /// Whether to write nothing and only report.
    pub dry_run: bool,
}

impl ExportRequest {
    /// Whether both ask for the same paths at the same place. How fast does not matter.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let asked = |request: &Self| Self { jobs: None, rate: None, ..request.clone() };
        asked(self) == asked(other)
    }
}

/// The result of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportSummary {
    /// The target, as it was given.
    pub target: String,
    /// The cache.
    pub cache: String,
    /// Whether nothing was written. The counts then say what would be exported.
    pub dry_run: bool,
    /// The number of paths that were exported.
    pub exported: u64,
    /// The bytes of their files.
    pub file_bytes: u64,
    /// The bytes of their NARs.
    pub nar_bytes: u64,
    /// The number of paths that the target had.
    pub present: u64,
    /// The paths that could not be exported, by the reason.
    pub skipped: Vec<SkippedPaths>,
}
