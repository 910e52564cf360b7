use crate::{NarHash, STORE_DIR, StorePath};

/// Returns the text that a signature covers: `1;<path>;sha256:<NAR hash>;<NAR size>;<references>` with full paths, the references sorted
/// by base name and joined by commas (protocol reference 10.1).
///
/// It leaves out file hash, compression, URL and deriver, so a path can be recompressed without a new signature.
/// A repeated reference counts once, because Nix treats references as a set.
pub fn fingerprint(path: &StorePath, nar_hash: &NarHash, nar_size: u64, references: &[StorePath]) -> String {
    let mut sorted: Vec<&StorePath> = references.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let references: Vec<String> = sorted.into_iter().map(StorePath::to_full_path).collect();
    format!("1;{STORE_DIR}/{path};{};{nar_size};{}", nar_hash.to_prefixed(), references.join(","))
}
