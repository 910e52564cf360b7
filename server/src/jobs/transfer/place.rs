//! The URLs by which operators name directories and buckets.

use std::path::{Path, PathBuf};

use nar_storage::{S3Credentials, S3Settings};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::BUCKET_PARAMETERS;

/// What a URL names.
pub(in crate::jobs) enum Place {
    /// `file://`: a directory of this machine.
    Directory(PathBuf),
    /// `s3://`: a bucket, or a part of one.
    Bucket(Url),
    /// Anything else.
    Other,
}

impl Place {
    /// Reads a URL. An error is a text for the operator.
    pub(in crate::jobs) fn of(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file://") {
            let path = path.split('?').next().unwrap_or_default();
            let path = percent_decode_str(path).decode_utf8().map_err(|_| "it is not UTF-8".to_owned())?;
            let path = PathBuf::from(path.as_ref());
            return if path.is_absolute() {
                Ok(Self::Directory(path))
            } else {
                Err("the URL of a directory begins with file:///".to_owned())
            };
        }
        if text.starts_with("s3://") {
            return Url::parse(text).map(Self::Bucket).map_err(|error| error.to_string());
        }
        Ok(Self::Other)
    }
}

/// Reads the URL of a bucket, `s3://BUCKET/PREFIX?region=…&endpoint=…`: the parameters that Nix knows, and
/// `access-key-file` and `secret-key-file` for credentials. Without those, they are looked up as the AWS tools do. What is stored
/// on the way there is spooled in a directory below `spool`. An error is a text for the operator.
pub(in crate::jobs) async fn bucket_settings(url: &Url, spool: &Path) -> Result<S3Settings, String> {
    let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no bucket")?;
    let (mut region, mut scheme) = ("us-east-1".to_owned(), "https".to_owned());
    let (mut endpoint, mut access_key, mut secret_key) = (None, None, None);
    let (mut is_path_style, mut profile) = (None, None);
    for (name, value) in url.query_pairs() {
        let value = value.into_owned();
        match &*name {
            "region" => region = value,
            "scheme" => scheme = value,
            "endpoint" => endpoint = Some(value),
            "addressing-style" => {
                is_path_style = match value.as_str() {
                    "path" => Some(true),
                    "virtual" => Some(false),
                    "auto" => None,
                    other => return Err(format!("addressing-style is path or virtual, not {other}")),
                }
            }
            "profile" => profile = Some(value),
            "access-key-file" => access_key = Some(read_key(&value).await?),
            "secret-key-file" => secret_key = Some(read_key(&value).await?),
            // What Nix needs for its own work.
            name if BUCKET_PARAMETERS.contains(&name) => {}
            other => return Err(format!("it has the unknown parameter {other}")),
        }
    }
    let credentials = match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => Some(S3Credentials { access_key, secret_key }),
        (None, None) => None,
        _ => return Err("it needs both access-key-file and secret-key-file, or neither".to_owned()),
    };
    let prefix = url.path().trim_matches('/').to_owned();
    let has_endpoint = endpoint.is_some();
    Ok(S3Settings {
        name: bucket.to_owned(),
        bucket: bucket.to_owned(),
        spool_dir: spool.join(format!("{bucket}-{}", prefix.replace('/', "-"))),
        prefix,
        region,
        // As with Nix, an endpoint is a host, or a URL.
        endpoint: endpoint.map(|host| if host.contains("://") { host } else { format!("{scheme}://{host}") }),
        force_path_style: is_path_style.unwrap_or(has_endpoint),
        credentials,
        profile,
        redirect: false,
        abandoned_after: S3Settings::ABANDONED_AFTER,
    })
}

async fn read_key(file: &str) -> Result<String, String> {
    if !Path::new(file).is_absolute() {
        return Err(format!("the daemon needs an absolute name instead of {file}"));
    }
    let text = tokio::fs::read_to_string(file).await;
    text.map(|text| text.trim().to_owned()).map_err(|error| format!("cannot read a key from {file}: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn settings(text: &str) -> Result<S3Settings, String> {
        match Place::of(text)? {
            Place::Bucket(url) => bucket_settings(&url, Path::new("/spool")).await,
            _ => panic!("{text} is no bucket"),
        }
    }

    #[tokio::test]
    async fn a_bucket_is_named_as_nix_names_it() {
        let plain = settings("s3://nars").await.unwrap();
        assert_eq!((plain.bucket.as_str(), plain.prefix.as_str(), plain.endpoint), ("nars", "", None));
        assert!(!plain.force_path_style && plain.credentials.is_none());
        let other =
            settings("s3://nars/a/b/?endpoint=s3.test:9000&scheme=http&region=eu&priority=3").await.unwrap();
        assert_eq!((other.prefix.as_str(), other.region.as_str()), ("a/b", "eu"));
        assert_eq!(other.endpoint.as_deref(), Some("http://s3.test:9000"));
        assert!(other.force_path_style);
        let profiled = settings("s3://nars?profile=build&parallel-compression=true").await.unwrap();
        assert_eq!(profiled.profile.as_deref(), Some("build"));
        let hosted = settings("s3://nars?endpoint=s3.test&addressing-style=virtual").await.unwrap();
        assert!(!hosted.force_path_style);
    }

    #[tokio::test]
    async fn what_a_url_cannot_mean_is_refused_with_the_reason() {
        for (text, reason) in [
            ("s3://nars?colour=red", "unknown parameter colour"),
            ("s3://nars?addressing-style=round", "path or virtual"),
            ("s3://nars?access-key-file=key", "absolute name"),
            ("s3://nars?access-key-file=/does/not/exist", "cannot read a key"),
            ("s3://", "names no bucket"),
        ] {
            let error = settings(text).await.unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(Place::of("file://relative").is_err());
        assert!(
            matches!(Place::of("file:///srv/a%20b?x=1"), Ok(Place::Directory(path)) if path == Path::new("/srv/a b"))
        );
    }
}
