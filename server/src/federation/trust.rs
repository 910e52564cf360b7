//! Whose signatures count when a cache serves what another one holds.
//!
//! A cache signs everything that its writers push. Its key therefore vouches for its own writers and for nobody else: what
//! the writers of another cache pushed is served under it only if a key that the cache trusts has signed it as well.

use nix_formats::{NarInfo, PublicKey, Signature};

use crate::cache::{Cache, Caches};
use crate::config::FederationTrust;

/// Most signatures that go along with a path.
const MOST_SIGNATURES: usize = 32;

/// The keys that vouch for a path in the eyes of `cache`: its `trusted-public-keys` and its own.
pub fn trusted_keys(cache: &Cache) -> Vec<PublicKey> {
    let mut keys = cache.keys().published();
    keys.extend(cache.config().trusted_public_keys.iter().cloned());
    keys
}

/// The signatures by which one of the keys vouches for what the narinfo says. In the narinfo they then come first, and what
/// is beyond a reasonable number is dropped.
pub fn valid_signatures(narinfo: &mut NarInfo, keys: &[PublicKey]) -> Vec<Signature> {
    let fingerprint = narinfo.fingerprint();
    let (valid, others): (Vec<_>, Vec<_>) = std::mem::take(&mut narinfo.signatures)
        .into_iter()
        .partition(|signature| keys.iter().any(|key| key.verify(&fingerprint, signature)));
    narinfo.signatures = valid.iter().cloned().chain(others).take(MOST_SIGNATURES).collect();
    valid
}

/// Whether `cache` may look into `other`, another cache of this daemon: both are public, and `other` can hold something
/// that a key signed which `cache` trusts. Whether a path is signed so is for [`valid_signatures`] to tell.
pub fn may_look_into(cache: &Cache, other: &Cache) -> bool {
    if cache.id == other.id || !cache.is_public() || !other.is_public() {
        return false;
    }
    if !cache.config().trusted_public_keys.is_empty() {
        return true;
    }
    // Without trusted keys only the cache's own one counts.
    let own = cache.keys().published();
    let theirs = trusted_keys(other);
    own.iter().any(|key| holds(&theirs, key))
}

/// The keys among those that a cache of another node announces that count for `cache` because that node is in our network:
/// none if `cache` trusts listed keys only.
///
/// Left out are the keys of our own other caches: daemons that share a database announce each other's caches, and a cache
/// that `cache` does not trust here is not to be trusted by that detour.
pub fn keys_of_peer(cache: &Cache, ours: &Caches, announced: &[PublicKey]) -> Vec<PublicKey> {
    if cache.config().federation.trust == FederationTrust::Listed {
        return Vec::new();
    }
    let others: Vec<PublicKey> =
        ours.iter().filter(|other| other.id != cache.id).flat_map(|other| other.keys().published()).collect();
    let own = cache.keys().published();
    announced.iter().filter(|key| !holds(&others, key) || holds(&own, key)).cloned().collect()
}

/// Whether the key is among `keys`, whatever it is called there.
fn holds(keys: &[PublicKey], key: &PublicKey) -> bool {
    keys.iter().any(|other| other.as_bytes() == key.as_bytes())
}
