//! Whether the catalog, the server key and the storages belong together, which they may not after a restore.

use admin_api::{Finding, FindingLevel};

use super::{advise, finding};
use crate::auth::count_void_tokens;
use crate::cache::Cache;
use crate::cache::storages::{CacheStorage, Standing};
use crate::core::Core;

/// Whether tokens were made with the server key.
pub(super) async fn server_key(core: &Core) -> Finding {
    let subject = "server key";
    let void = match (core.catalog.server_keys().await, core.catalog.tokens().await) {
        (Ok(keys), Ok(tokens)) => count_void_tokens(&keys, &tokens),
        (Err(error), _) | (_, Err(error)) => return finding(FindingLevel::Error, subject, error.to_string()),
    };
    if void == 0 {
        return finding(FindingLevel::Ok, subject, "all tokens in use were made with it");
    }
    let found = finding(
        FindingLevel::Error,
        subject,
        format!("{void} tokens were made with another server key and are refused"),
    );
    advise(
        found,
        "if the key was not changed on purpose, put the earlier one back (`server.key`, `server.key-file`, or \
         `server.key` in the state directory); otherwise revoke those tokens and make new ones",
    )
}

/// Whether a storage holds what the catalog does not know.
pub(super) async fn storage(core: &Core, cache: &Cache, storage: &CacheStorage) -> Option<Finding> {
    let subject = format!("storage {}/{}", cache.name(), storage.name());
    if let Standing::Foreign(other) = storage.standing() {
        let found = finding(
            FindingLevel::Error,
            subject,
            format!("it was last used with another catalog, {other}; what it held then is not known here"),
        );
        let advice = format!(
            "if this catalog is the right one, run `cachectl fsck --rebuild --cache {}`; otherwise put the other one back",
            cache.name()
        );
        return Some(advise(found, advice));
    }
    if core.catalog.generation(storage.id).await.is_ok_and(|generation| generation.rebuild) {
        let found = finding(
            FindingLevel::Warn,
            subject,
            "the catalog is older than it; it is being searched for the missing paths",
        );
        return Some(advise(
            found,
            "`cachectl job list` shows how far that is; nothing is collected meanwhile",
        ));
    }
    None
}
