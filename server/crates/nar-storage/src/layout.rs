//! The keys of the objects of a binary cache.
//!
//! The names are those of Nix's binary cache format (`src/libstore/binary-cache-store.cc`), so that `nix copy --from file://…` can
//! read a storage and any static web server can serve it. The layout is flat: at most one directory per kind of object.

use nix_formats::{NarFileName, StorePath, StorePathHash};

use crate::{InvalidKey, Key};

/// The file that marks a directory as a binary cache.
pub const NIX_CACHE_INFO: &str = "nix-cache-info";
/// The prefix of the keys of all NAR files, for [`Storage::list`](crate::Storage::list).
pub const NAR_PREFIX: &str = "nar/";
/// The suffix of the keys of all narinfo files.
pub const NARINFO_SUFFIX: &str = ".narinfo";

/// The note of the catalog that knows what the storage holds. It is no object of the binary cache.
const CATALOG_NOTE: &str = ".cache-server-catalog";

/// Hexadecimal digits of a build id, which is a SHA-1 hash.
const BUILD_ID_LEN: usize = 40;
/// Hexadecimal digits of a SHA-256 hash.
const SHA256_HEX_LEN: usize = 64;
/// The longest output name in bytes. Nix has no limit but that of a store path name, which contains the output name.
const MAX_OUTPUT_LEN: usize = 211;

/// `nix-cache-info`.
pub fn nix_cache_info_key() -> Key {
    Key::from_valid_parts(NIX_CACHE_INFO.to_owned())
}

/// `.cache-server-catalog`: which catalog knows what the storage holds. Listings leave it out.
pub fn catalog_note_key() -> Key {
    Key::reserved(CATALOG_NOTE)
}

/// `nar/<file hash>.nar[.<extension>]`: a compressed NAR.
pub fn nar_key(name: &NarFileName) -> Key {
    Key::from_valid_parts(format!("{NAR_PREFIX}{name}"))
}

/// `<store hash>.narinfo`.
pub fn narinfo_key(hash: &StorePathHash) -> Key {
    Key::from_valid_parts(format!("{hash}{NARINFO_SUFFIX}"))
}

/// Whether an object is a NAR.
pub(crate) fn is_nar(key: &Key) -> bool {
    key.as_str().starts_with(NAR_PREFIX)
}

/// Whether an object is a by-product of paths: a listing, debug info link, build log or realisation, and no NAR file, narinfo or
/// note.
pub fn is_by_product(key: &Key) -> bool {
    let is_nar = is_nar(key);
    let key = key.as_str();
    !is_nar && !key.ends_with(NARINFO_SUFFIX) && key != NIX_CACHE_INFO && key != CATALOG_NOTE
}

/// `<store hash>.ls`: the listing of a NAR as JSON.
pub fn listing_key(hash: &StorePathHash) -> Key {
    Key::from_valid_parts(format!("{hash}.ls"))
}

/// `log/<derivation>`: the build log of a derivation, given by its base name `<store hash>-<name>.drv`.
pub fn log_key(derivation: &str) -> Result<Key, InvalidKey> {
    check_derivation(derivation)?;
    Ok(Key::from_valid_parts(format!("log/{derivation}")))
}

/// `realisations/sha256:<hex>!<output>.doi`: the realisation of an output of a content-addressed derivation, for Nix before 2.32.
/// `id` is the part between the slash and the extension.
pub fn realisation_key(id: &str) -> Result<Key, InvalidKey> {
    const WHAT: InvalidKey = InvalidKey::Name("realisation");
    let (hash, output) = id.strip_prefix("sha256:").and_then(|id| id.split_once('!')).ok_or(WHAT)?;
    if hash.len() != SHA256_HEX_LEN || !is_lower_hex(hash) {
        return Err(WHAT);
    }
    check_output(output)?;
    Ok(Key::from_valid_parts(format!("realisations/{id}.doi")))
}

/// `build-trace-v2/<derivation>/<output>.doi`: the same for newer Nix, by the derivation's base name.
pub fn build_trace_key(derivation: &str, output: &str) -> Result<Key, InvalidKey> {
    check_derivation(derivation)?;
    check_output(output)?;
    Ok(Key::from_valid_parts(format!("build-trace-v2/{derivation}/{output}.doi")))
}

/// `debuginfo/<build id>.debug`: the NAR with the debug symbols of a build id (40 lower-case hexadecimal digits), and the file in
/// it.
pub fn debuginfo_key(build_id: &str) -> Result<Key, InvalidKey> {
    if build_id.len() != BUILD_ID_LEN || !is_lower_hex(build_id) {
        return Err(InvalidKey::Name("build id"));
    }
    Ok(Key::from_valid_parts(format!("debuginfo/{build_id}.debug")))
}

fn check_derivation(base_name: &str) -> Result<(), InvalidKey> {
    let valid = base_name.ends_with(".drv") && StorePath::from_base_name(base_name).is_ok();
    if valid { Ok(()) } else { Err(InvalidKey::Name("derivation name")) }
}

/// Output names follow the rules of store path names, which contain them, and must not start with a dot.
fn check_output(name: &str) -> Result<(), InvalidKey> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    let valid =
        (1..=MAX_OUTPUT_LEN).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed);
    if valid { Ok(()) } else { Err(InvalidKey::Name("output name")) }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
