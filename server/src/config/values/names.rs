//! Names, public keys and other texts with a grammar.

use nix_formats::PublicKey;
use tracing_subscriber::EnvFilter;

use crate::config::keys::Kind;
use crate::config::wrong::{Wrong, shown};
use crate::config::{CacheName, Name};

/// A text that is not empty.
pub fn text(text: &str) -> Result<String, Wrong> {
    match text.trim() {
        "" => Err(Wrong::because("is empty", Kind::Text.expected())),
        _ => Ok(text.to_owned()),
    }
}

/// The name of a cache.
pub fn cache_name(text: &str) -> Result<CacheName, Wrong> {
    text.parse().map_err(|error| {
        let wrong = Wrong::because(format!("{} {error}", shown(text)), Kind::CacheName.expected());
        match CacheName::nearest(text) {
            Some(nearest) => wrong.suggest(format!("call it `{nearest}`")),
            None => wrong,
        }
    })
}

/// The name of a storage, workspace or agent.
pub fn name(text: &str) -> Result<Name, Wrong> {
    text.parse().map_err(|error| Wrong::because(format!("{} {error}", shown(text)), Kind::Name.expected()))
}

/// A public key of Nix.
pub fn public_key(text: &str) -> Result<PublicKey, Wrong> {
    // The text is not shown: a person who mixes up two keys puts a secret one here.
    PublicKey::parse(text).map_err(|error| Wrong::because(error.to_string(), Kind::PublicKey.expected()))
}

/// Directives that choose what is logged.
pub fn log_filter(text: &str) -> Result<String, Wrong> {
    let parsed = EnvFilter::builder().parse(text);
    parsed
        .map_err(|error| Wrong::because(format!("{}: {error}", shown(text)), Kind::LogFilter.expected()))?;
    Ok(text.to_owned())
}
