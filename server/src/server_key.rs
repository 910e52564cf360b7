//! The server's key: signs tokens and part URLs.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use crate::app::StartError;
use crate::cache::keys::write_private;
use crate::config::KeySource;

/// Length of a generated key before encoding, in bytes.
const GENERATED_LENGTH: usize = 32;
/// Shorter keys can be guessed from a token.
const SHORTEST: usize = 16;

/// The key that the configuration gives; or one of our own, made once and kept in the state directory.
pub fn load_or_generate(source: &KeySource, state_dir: &Path) -> Result<Zeroizing<String>, StartError> {
    if let Some(secret) = source.resolve()? {
        let key = Zeroizing::new(secret.expose().to_owned());
        if key.len() < SHORTEST {
            tracing::warn!("server.key is short enough to be guessed; use at least 32 random characters");
        }
        return Ok(key);
    }
    let path = state_dir.join("server.key");
    let failed = |source| StartError::KeyFile { path: path.clone(), source };
    match std::fs::read_to_string(&path) {
        Ok(key) if key.trim().len() >= SHORTEST => return Ok(Zeroizing::new(key.trim().to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut random = Zeroizing::new([0; GENERATED_LENGTH]);
    getrandom::fill(random.as_mut()).map_err(|error| failed(std::io::Error::other(error)))?;
    let key = Zeroizing::new(STANDARD_NO_PAD.encode(*random));
    write_private(&path, key.as_bytes()).map_err(failed)?;
    Ok(key)
}
