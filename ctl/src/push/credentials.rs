//! Where the token and the signing key come from. Neither is ever an argument, which other users could see in the list of
//! processes.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nix_formats::SigningKey;
use url::Url;

use super::error::PushError;
use super::netrc::find_password;

/// The variable with a token.
pub const TOKEN_VARIABLE: &str = "CACHE_SERVER_TOKEN";
/// That of the cachix client.
const CACHIX_VARIABLE: &str = "CACHIX_AUTH_TOKEN";
/// A secret is shorter than that.
const MOST_BYTES: u64 = 64 << 10;

/// Finds the token: in `file` (`-` is standard input), in the environment, or in a netrc file. Without one the server may
/// still accept a push that is signed.
///
/// # Errors
///
/// [`PushError::Secret`] if `file` or the netrc file that was named cannot be used.
pub fn find_token(
    file: Option<&Path>,
    netrc_file: Option<&Path>,
    server: &Url,
    cache: &str,
) -> Result<Option<String>, PushError> {
    if let Some(file) = file {
        return read_secret("token", file).map(Some);
    }
    for name in [TOKEN_VARIABLE, CACHIX_VARIABLE] {
        match std::env::var(name) {
            Ok(token) if !token.trim().is_empty() => return check_token(name, &token).map(Some),
            _ => {}
        }
    }
    let host = server.host_str().unwrap_or_default();
    // `cachix use` writes the host of the cache.
    let of_cache = format!("{cache}.{host}");
    let hosts = [of_cache.as_str(), host];
    if let Some(file) = netrc_file {
        let text =
            fs::read_to_string(file).map_err(|error| unusable("netrc file", file, &error.to_string()))?;
        return Ok(find_password(&text, &hosts));
    }
    let texts = netrc_files().into_iter().filter_map(|file| fs::read_to_string(file).ok());
    Ok(texts.filter_map(|text| find_password(&text, &hosts)).next())
}

/// Reads a signing key in the format of Nix.
///
/// # Errors
///
/// [`PushError::Secret`] if there is none.
pub fn read_signing_key(file: &Path) -> Result<SigningKey, PushError> {
    let text = read_secret("signing key", file)?;
    SigningKey::parse(&text).map_err(|error| unusable("signing key", file, &error.to_string()))
}

/// The netrc files that exist by convention, the most specific first.
fn netrc_files() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = variable("HOME");
    let config = variable("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let files = [
        variable("NETRC"),
        config.map(|config| config.join("nix/netrc")),
        home.map(|home| home.join(".netrc")),
        Some(PathBuf::from("/etc/nix/netrc")),
    ];
    files.into_iter().flatten().collect()
}

fn read_secret(what: &'static str, file: &Path) -> Result<String, PushError> {
    let read = |mut source: Box<dyn io::Read>| {
        let mut text = String::new();
        source.read_to_string(&mut text).map(|_| text)
    };
    let text = if file == Path::new("-") {
        read(Box::new(io::stdin().take(MOST_BYTES)))
    } else {
        fs::File::open(file).and_then(|opened| read(Box::new(opened.take(MOST_BYTES))))
    };
    let text = text.map_err(|error| unusable(what, file, &error.to_string()))?;
    check_token(&file.display().to_string(), &text).map_err(|error| match error {
        PushError::Secret { from, reason, .. } => PushError::Secret { what, from, reason },
        error => error,
    })
}

/// A token becomes a header, so it is one line of printable characters.
fn check_token(from: &str, text: &str) -> Result<String, PushError> {
    let token = text.trim();
    let wrong =
        |reason: &str| PushError::Secret { what: "token", from: from.to_owned(), reason: reason.to_owned() };
    if token.is_empty() {
        return Err(wrong("it is empty"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("it holds more than one word"));
    }
    Ok(token.to_owned())
}

fn unusable(what: &'static str, file: &Path, reason: &str) -> PushError {
    PushError::Secret { what, from: file.display().to_string(), reason: reason.to_owned() }
}
