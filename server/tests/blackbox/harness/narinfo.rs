//! A narinfo as Nix reads it: a second reader, so that the daemon's own parser does not judge itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use super::nix32;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NarInfo {
    pub store_path: String,
    pub url: String,
    pub compression: String,
    pub file_hash: String,
    pub file_size: u64,
    /// `sha256:` and 52 digits.
    pub nar_hash: String,
    pub nar_size: u64,
    /// Base names.
    pub references: Vec<String>,
    pub deriver: Option<String>,
    /// How a content-addressed path came by its hash.
    pub ca: Option<String>,
    /// `NAME:BASE64` each.
    pub signatures: Vec<String>,
}

impl NarInfo {
    /// Reads the text by the rules of Nix's `nar-info.cc` (protocol reference 2.3), and takes nothing for granted that
    /// any client version could stumble over.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let mut seen = Vec::new();
        assert!(text.ends_with('\n'), "the last line ends: {text:?}");
        for line in text.lines() {
            let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("not `Key: value`: {line:?}"));
            assert!(key == "Sig" || !seen.contains(&key), "{key} appears twice");
            seen.push(key);
            let size = || value.parse().unwrap_or_else(|_| panic!("not a size: {line:?}"));
            match key {
                "StorePath" => info.store_path = value.to_owned(),
                "URL" => info.url = value.to_owned(),
                "Compression" => info.compression = value.to_owned(),
                "FileHash" => info.file_hash = value.to_owned(),
                "FileSize" => info.file_size = size(),
                "NarHash" => info.nar_hash = value.to_owned(),
                "NarSize" => info.nar_size = size(),
                "References" => info.references = value.split_whitespace().map(str::to_owned).collect(),
                "Deriver" => info.deriver = Some(value.to_owned()),
                "CA" => info.ca = Some(value.to_owned()),
                "Sig" => info.signatures.push(value.to_owned()),
                _ => panic!("unknown to Nix: {line:?}"),
            }
        }
        for key in
            ["StorePath", "URL", "Compression", "FileHash", "FileSize", "NarHash", "NarSize", "References"]
        {
            assert!(seen.contains(&key), "{key} is missing in {text:?}");
        }
        assert!(info.nar_size > 0);
        info
    }

    /// What a signature covers (protocol reference 10.1).
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.store_path, &self.nar_hash, self.nar_size, &self.references)
    }

    /// Whether one of the signatures was made by the key `NAME:BASE64`.
    #[track_caller]
    pub fn is_signed_by(&self, key: &str) -> bool {
        let (key_name, key) = key.split_once(':').expect("NAME:BASE64");
        let key: [u8; 32] = STANDARD.decode(key).unwrap().try_into().expect("32 bytes");
        let key = VerifyingKey::from_bytes(&key).unwrap();
        self.signatures.iter().any(|signature| {
            let (name, bytes) = signature.split_once(':').expect("NAME:BASE64");
            let bytes: [u8; 64] = STANDARD.decode(bytes).expect("base64").try_into().expect("64 bytes");
            name == key_name
                && key.verify_strict(self.fingerprint().as_bytes(), &Signature::from_bytes(&bytes)).is_ok()
        })
    }

    /// The bytes of `FileHash`, which may be written in hex or in Nix's base 32.
    #[track_caller]
    pub fn file_hash_bytes(&self) -> Vec<u8> {
        let digits = self.file_hash.strip_prefix("sha256:").expect("a SHA-256");
        nix32::decode(digits, 32).or_else(|| super::from_hex(digits)).expect("64 hex or 52 nix32 digits")
    }
}

pub fn fingerprint(store_path: &str, nar_hash: &str, nar_size: u64, references: &[String]) -> String {
    let mut references: Vec<String> = references.iter().map(|name| format!("/nix/store/{name}")).collect();
    references.sort();
    format!("1;{store_path};{nar_hash};{nar_size};{}", references.join(","))
}
