//! What the source of an import wants to see: read from files that the operator names, or taken from the entry of an upstream.

use std::path::{Path, PathBuf};

use admin_api::{ApiError, ErrorCode, ImportCredentials, ImportRequest};
use url::Url;

use super::source::SourceError;
use crate::cache::Cache;
use crate::config::UpstreamCredentials;

/// Refuses a request that would put a secret into the record of the job, before there is one.
///
/// # Errors
///
/// If the URL of the source has a password.
pub(in crate::jobs) fn refuse_secrets(request: &ImportRequest) -> Result<(), ApiError> {
    // A Nix store behind SSH may have a user. For the others even that may be a token.
    let takes_user = |url: &Url| !matches!(url.scheme(), "http" | "https" | "s3");
    let has_secret = Url::parse(&request.source)
        .is_ok_and(|url| url.password().is_some() || (!url.username().is_empty() && !takes_user(&url)));
    if !has_secret {
        return Ok(());
    }
    Err(ApiError {
        code: ErrorCode::Invalid,
        message: "cannot import: a URL with a password would end in logs".to_owned(),
        hint: Some("put the password into a file, and name it with --password-file".to_owned()),
    })
}

/// Returns the credentials for a source.
///
/// # Errors
///
/// [`SourceError::Unusable`] if they do not go together or do not go with the source, with a text for the operator.
pub(super) fn resolve(
    given: &ImportCredentials,
    source: &str,
    cache: &Cache,
) -> Result<UpstreamCredentials, SourceError> {
    let complete =
        if given.as_upstream { of_upstream(given, source, cache) } else { of_files(given, source) };
    complete.map_err(SourceError::Unusable)
}

/// The credentials of the upstream that is the source.
fn of_upstream(
    given: &ImportCredentials,
    source: &str,
    cache: &Cache,
) -> Result<UpstreamCredentials, String> {
    if *given != (ImportCredentials { as_upstream: true, ..ImportCredentials::default() }) {
        return Err("the credentials of an upstream are used without others".to_owned());
    }
    let config = cache.config();
    // To no other origin than the one that the configuration gives them to, and to no other cache of it.
    let upstream = config.upstreams.iter().find(|upstream| is_same(upstream.url.as_str(), source));
    let upstream = upstream.ok_or_else(|| {
        format!("cache {} has no upstream {source}; `cachectl upstream list` shows them", cache.name())
    })?;
    Ok(upstream.credentials.clone())
}

fn is_same(one: &str, other: &str) -> bool {
    let parse = |text: &str| Url::parse(text.trim_end_matches('/'));
    matches!((parse(one), parse(other)), (Ok(one), Ok(other)) if one == other)
}

/// The credentials in the files, with the conditions that an upstream in the configuration has.
fn of_files(given: &ImportCredentials, source: &str) -> Result<UpstreamCredentials, String> {
    if given.is_empty() {
        return Ok(UpstreamCredentials::default());
    }
    if !(source.starts_with("http://") || source.starts_with("https://")) {
        return Err("only a source behind http or https takes these credentials; a bucket takes `access-key-file` and \
                    `secret-key-file` in its URL"
            .to_owned());
    }
    if let Some((name, file)) = given.files().find(|(_, file)| !Path::new(file).is_absolute()) {
        return Err(format!("the daemon needs an absolute {name} instead of {file}"));
    }
    let ways = ["password-file", "token-file", "netrc-file"];
    if given.files().filter(|(name, _)| ways.contains(name)).count() > 1 {
        return Err("give only one of password-file, token-file and netrc-file".to_owned());
    }
    if given.user.is_some() && given.password_file.is_none() {
        return Err("a user is given without a password-file".to_owned());
    }
    if given.client_key_file.is_some() && given.client_certificate_file.is_none() {
        return Err("a client-key-file is given without a client-certificate-file".to_owned());
    }
    if given.client_certificate_file.is_some() && source.starts_with("http://") {
        return Err("a client certificate is given, but the source is not `https://`".to_owned());
    }
    let file = |name: &Option<String>| name.as_ref().map(PathBuf::from);
    Ok(UpstreamCredentials {
        user: given.user.clone(),
        password_file: file(&given.password_file),
        token_file: file(&given.token_file),
        netrc_file: file(&given.netrc_file),
        headers_file: file(&given.headers_file),
        client_certificate_file: file(&given.client_certificate_file),
        client_key_file: file(&given.client_key_file),
        s3_access_key_file: None,
        s3_secret_key_file: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refusal(edit: impl FnOnce(&mut ImportCredentials), source: &str) -> String {
        let mut given = ImportCredentials::default();
        edit(&mut given);
        of_files(&given, source).unwrap_err()
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_the_reason() {
        let file = || Some("/f".to_owned());
        let (web, plain) = ("https://cache.test", "http://cache.test");
        let cases = [
            (refusal(|given| given.token_file = file(), "file:///srv"), "only a source behind http"),
            (refusal(|given| given.token_file = Some("f".to_owned()), web), "absolute token-file"),
            (
                refusal(|given| (given.token_file, given.netrc_file) = (file(), file()), web),
                "only one of password-file",
            ),
            (refusal(|given| given.user = Some("me".to_owned()), web), "without a password-file"),
            (refusal(|given| given.client_key_file = file(), web), "without a client-certificate-file"),
            (refusal(|given| given.client_certificate_file = file(), plain), "not `https://`"),
        ];
        for (text, reason) in cases {
            assert!(text.contains(reason), "{reason}: {text}");
        }
    }

    #[test]
    fn an_upstream_is_known_by_its_url() {
        assert!(is_same("https://cache.test", "https://cache.test/"));
        assert!(is_same("https://cache.test/team", "https://cache.test/team/"));
        assert!(is_same("s3://nars?endpoint=s3.test", "s3://nars?endpoint=s3.test"));
        for other in
            ["http://cache.test", "https://cache.test:8443", "https://cache.test/other", "cache.test"]
        {
            assert!(!is_same("https://cache.test", other), "{other}");
        }
    }
}
