//! What an upstream wants to see, read from files when it is needed and again every minute, so that a new secret needs no
//! reload. A file that cannot be read leaves what was read before in force.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use nar_storage::S3Credentials;
use tokio::sync::Mutex;

use super::{header_lines, netrc};
use crate::chain::chain;
use crate::config::{Secret, SecretSource, UpstreamCredentials};
use crate::federation::client::{Access, ClientError};

/// How long what was read is good for.
const FRESH: Duration = Duration::from_secs(60);
/// How long it takes at least until files are read again that could not be.
const RETRY: Duration = Duration::from_secs(2);

/// The credentials of one upstream.
pub struct Credentials {
    config: UpstreamCredentials,
    host: String,
    /// Files with authorities that count for a connection with a client certificate.
    authorities: Arc<[PathBuf]>,
    has_any: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    read: Option<Arc<Read>>,
    /// When the files are due again.
    due: Option<Instant>,
    error: Option<String>,
}

/// What the files hold.
#[derive(Default)]
struct Read {
    access: Access,
    keys: Option<S3Credentials>,
    /// The certificate and key that `access` was made from.
    identity: Option<(Secret, Secret)>,
}

impl Credentials {
    /// `host` is that of the upstream. For HTTPS to it, the authorities in these files count as well.
    pub fn new(config: &UpstreamCredentials, host: &str, authorities: Arc<[PathBuf]>) -> Self {
        Self {
            has_any: config.files().next().is_some(),
            config: config.clone(),
            host: host.to_owned(),
            authorities,
            known: Mutex::default(),
        }
    }

    /// Returns what goes along with requests to a web server.
    ///
    /// # Errors
    ///
    /// If it was never possible to read the files.
    pub async fn get(&self) -> Result<Access, ClientError> {
        Ok(self.read().await?.map(|read| read.access.clone()).unwrap_or_default())
    }

    /// Returns the keys of a bucket, if the configuration names some.
    ///
    /// # Errors
    ///
    /// If it was never possible to read the files.
    pub async fn bucket_keys(&self) -> Result<Option<S3Credentials>, ClientError> {
        Ok(self.read().await?.and_then(|read| read.keys.clone()))
    }

    async fn read(&self) -> Result<Option<Arc<Read>>, ClientError> {
        if !self.has_any {
            return Ok(None);
        }
        // Held while the files are read, so that one does it for all.
        let mut known = self.known.lock().await;
        if known.due.is_none_or(|due| due <= Instant::now()) {
            let (config, host, before) = (self.config.clone(), self.host.clone(), known.read.clone());
            let authorities = self.authorities.clone();
            let read = move || read(&config, &host, &authorities, before.as_deref());
            let read = tokio::task::spawn_blocking(read).await;
            match read.unwrap_or_else(|_| Err("they could not be read".to_owned())) {
                Ok(read) => {
                    *known =
                        Known { read: Some(Arc::new(read)), due: Some(Instant::now() + FRESH), error: None };
                }
                Err(error) => {
                    if known.error.as_ref() != Some(&error) {
                        tracing::warn!(host = self.host, error, "cannot read the credentials of an upstream");
                    }
                    known.due = Some(Instant::now() + RETRY);
                    known.error = Some(error);
                }
            }
        }
        match (&known.read, &known.error) {
            (Some(read), _) => Ok(Some(read.clone())),
            (None, error) => Err(ClientError::Credentials(error.clone().unwrap_or_default())),
        }
    }
}

/// Reads all files. Blocks.
fn read(
    config: &UpstreamCredentials,
    host: &str,
    authorities: &[PathBuf],
    before: Option<&Read>,
) -> Result<Read, String> {
    let resolve = |file: &Option<PathBuf>| {
        let secret = file.clone().map(|file| SecretSource::File(file).resolve());
        secret.transpose().map_err(|error| chain(&error).to_string())
    };
    let mut read = Read::default();
    if let Some(lines) = resolve(&config.headers_file)? {
        read.access.headers =
            header_lines::parse(lines.expose()).map_err(|error| format!("headers-file: {error}"))?;
    }
    let mut authorization = None;
    if let Some(token) = resolve(&config.token_file)? {
        authorization = Some(Secret::new(format!("Bearer {}", token.expose().trim())));
    }
    if let Some(password) = resolve(&config.password_file)? {
        authorization = Some(basic(config.user.as_deref().unwrap_or_default(), password.expose()));
    }
    if let Some(text) = resolve(&config.netrc_file)? {
        let (login, password) = netrc::find(text.expose(), host)
            .ok_or_else(|| format!("netrc-file: there is no entry for `{host}`"))?;
        authorization = Some(basic(&login, &password));
    }
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::from_str(authorization.expose())
            .map_err(|_| "a token or password has characters that no header takes".to_owned())?;
        value.set_sensitive(true);
        read.access.headers.insert(AUTHORIZATION, value);
    }
    if let Some(certificate) = resolve(&config.client_certificate_file)? {
        let key = resolve(&config.client_key_file)?.unwrap_or_else(|| certificate.clone());
        // Connections are kept as long as the certificate is the same.
        let same = before.filter(|before| {
            before
                .identity
                .as_ref()
                .is_some_and(|(before, key_before)| *before == certificate && *key_before == key)
        });
        read.access.http = match same {
            Some(before) => before.access.http.clone(),
            None => Some(Access::http_with_identity(certificate.expose(), key.expose(), authorities)?),
        };
        read.identity = Some((certificate, key));
    }
    if let (Some(access_key), Some(secret_key)) =
        (resolve(&config.s3_access_key_file)?, resolve(&config.s3_secret_key_file)?)
    {
        let (access_key, secret_key) = (access_key.expose().trim(), secret_key.expose().trim());
        read.keys =
            Some(S3Credentials { access_key: access_key.to_owned(), secret_key: secret_key.to_owned() });
    }
    Ok(read)
}

fn basic(user: &str, password: &str) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}
