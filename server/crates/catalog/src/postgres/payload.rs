//! Changes as text, in the payloads of notifications.
//!
//! A payload is a list of words: the number of the payload within its transaction, then `c7` for "what follows is about
//! cache 7", `+HASH` for a path that was inserted, `~HASH` updated, `!HASH` hidden, `-HASH` removed, `k` for the signing
//! keys of the cache, `t` for the tokens, `dUUID` for the deployments of an agent, `*` for a reason to load everything
//! again. The number is there because the server drops a payload that repeats an earlier one of the transaction.

use nix_formats::StorePathHash;
use uuid::Uuid;

use crate::{AgentId, CacheId, CatalogChange, PathChange};

/// The server accepts less than 8000 bytes. A word about a path has 34, one about a cache at most 21.
const LIMIT: usize = 7900;

const SIGNS: [(char, PathChange); 4] = [
    ('+', PathChange::Inserted),
    ('~', PathChange::Updated),
    ('!', PathChange::Hidden),
    ('-', PathChange::Removed),
];

/// Encodes changes in few payloads.
pub(super) fn write(changes: &[CatalogChange]) -> Vec<String> {
    let mut payloads: Vec<String> = Vec::new();
    let mut current = None;
    for change in changes {
        if payloads.last().is_none_or(|payload| payload.len() > LIMIT - 64) {
            payloads.push(payloads.len().to_string());
            current = None;
        }
        let Some(payload) = payloads.last_mut() else { continue };
        if let Some(cache) = cache_of(change)
            && current != Some(cache)
        {
            payload.push_str(&format!(" c{}", cache.0));
            current = Some(cache);
        }
        match change {
            CatalogChange::Path { path, change, .. } => {
                payload.push_str(&format!(" {}{path}", sign(*change)))
            }
            CatalogChange::SigningKeys { .. } => payload.push_str(" k"),
            CatalogChange::Tokens => payload.push_str(" t"),
            CatalogChange::Deployments { agent } => payload.push_str(&format!(" d{}", agent.0.simple())),
            CatalogChange::Resync => payload.push_str(" *"),
        }
    }
    payloads
}

/// Decodes a payload. An unknown one, which a newer version wrote, becomes [`CatalogChange::Resync`].
pub(super) fn read(payload: &str) -> Vec<CatalogChange> {
    parse(payload).unwrap_or_else(|| vec![CatalogChange::Resync])
}

fn parse(payload: &str) -> Option<Vec<CatalogChange>> {
    let mut changes = Vec::new();
    let mut current = None;
    for word in payload.split(' ').skip(1) {
        let mut characters = word.chars();
        let (kind, rest) = (characters.next()?, characters.as_str());
        let change = match kind {
            'c' => {
                current = Some(CacheId(rest.parse().ok()?));
                continue;
            }
            'k' => CatalogChange::SigningKeys { cache: current? },
            't' => CatalogChange::Tokens,
            'd' => CatalogChange::Deployments { agent: AgentId(Uuid::try_parse(rest).ok()?) },
            '*' => CatalogChange::Resync,
            _ => CatalogChange::Path {
                cache: current?,
                path: rest.parse::<StorePathHash>().ok()?,
                change: SIGNS.iter().find(|(sign, _)| *sign == kind)?.1,
            },
        };
        changes.push(change);
    }
    Some(changes)
}

fn cache_of(change: &CatalogChange) -> Option<CacheId> {
    match change {
        CatalogChange::Path { cache, .. } | CatalogChange::SigningKeys { cache } => Some(*cache),
        CatalogChange::Tokens | CatalogChange::Deployments { .. } | CatalogChange::Resync => None,
    }
}

fn sign(change: PathChange) -> char {
    match change {
        PathChange::Inserted => '+',
        PathChange::Updated => '~',
        PathChange::Hidden => '!',
        PathChange::Removed => '-',
    }
}

#[cfg(test)]
mod tests;
