//! The server's key: signs tokens and part URLs.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::config::{KeySource, SHORTEST_KEY, SecretError};
use crate::derived_key::derive;

/// Length of a generated key before encoding, in bytes.
const GENERATED_LENGTH: usize = 32;
/// The shortest key that is accepted from the state directory: earlier ones were as long as that.
const SHORTEST_GENERATED: usize = 16;

/// Returns a short text by which a key is told from others. It does not reveal the key.
pub fn fingerprint(key: &[u8]) -> String {
    derive(key, "cache-server key fingerprint v1")[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why there is no server key.
#[derive(Debug, thiserror::Error)]
pub enum ServerKeyError {
    /// The key of the configuration cannot be read.
    #[error("server.key")]
    Configured(#[from] SecretError),
    /// The key of the configuration can be guessed from a token.
    #[error(
        "server.key-file: the key is shorter than {SHORTEST_KEY} characters, so it can be guessed from any token; make one \
         with `openssl rand -hex 32`"
    )]
    TooShort,
    /// The generated key cannot be read or written.
    #[error("server key file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The key that the configuration gives, unless it is too short; or one of our own, made once and kept in the state directory.
pub fn load_or_generate(source: &KeySource, state_dir: &Path) -> Result<Zeroizing<String>, ServerKeyError> {
    if source.too_short().is_some() {
        tracing::warn!(
            "server.key is short enough to be guessed and signs no tokens; a key in the state directory does"
        );
    } else if let Some(secret) = source.resolve()? {
        let key = Zeroizing::new(secret.expose().to_owned());
        return if key.len() < SHORTEST_KEY { Err(ServerKeyError::TooShort) } else { Ok(key) };
    }
    let path = state_dir.join("server.key");
    let failed = |source| ServerKeyError::File { path: path.clone(), source };
    match std::fs::read_to_string(&path) {
        Ok(key) if key.trim().len() >= SHORTEST_GENERATED => {
            return Ok(Zeroizing::new(key.trim().to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut random = Zeroizing::new([0; GENERATED_LENGTH]);
    getrandom::fill(random.as_mut()).map_err(|error| failed(std::io::Error::other(error)))?;
    let key = Zeroizing::new(STANDARD_NO_PAD.encode(*random));
    private_file::write(&path, key.as_bytes()).map_err(failed)?;
    Ok(key)
}
