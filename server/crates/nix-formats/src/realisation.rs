//! Realisations: which store path an output of a content-addressed derivation turned out to be.
//!
//! There are two formats. Nix before 2.35 names an output by a hash of its derivation (`realisations/sha256:…!out.doi`), newer Nix
//! by the derivation itself (`build-trace-v2/…drv/out.doi`). What is signed differs as well. Source: `src/libstore/realisation.cc`
//! and `binary-cache-store.cc` of Nix, at 2.28, 2.34 and of August 2026.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Signature, StorePath};

/// The output that a realisation is about. The name of its file in a binary cache holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RealisationKey {
    /// `sha256:<hex>!<output>`: the hash of the derivation modulo its inputs, and the output.
    Hashed(String),
    /// The derivation and the output.
    Traced {
        /// The base name of the derivation.
        derivation: String,
        /// The name of the output.
        output: String,
    },
}

/// Why a realisation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RealisationError {
    /// It is not JSON of the expected shape.
    #[error("a realisation is a JSON object with `outPath`, the base name of a store path")]
    Malformed,
    /// It is about another output than its file name says.
    #[error("the `id` of this realisation is not the one in its file name")]
    OtherKey,
}

/// A realisation, as its file in a binary cache holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realisation {
    key: RealisationKey,
    path: StorePath,
    /// The realisations that this one was made with, as Nix before 2.34 wrote and signed them.
    dependents: BTreeMap<String, String>,
    signatures: Vec<Signature>,
    /// The whole file, so that what a later Nix adds to it is kept.
    document: Map<String, Value>,
}

/// The most signatures that one file can hold. Nix writes one for each key that a builder has.
const MOST_SIGNATURES: usize = 64;

/// A signature in either of the forms that Nix reads.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnySignature {
    Text(String),
    #[serde(rename_all = "camelCase")]
    Parts {
        key_name: String,
        sig: String,
    },
}

/// What Nix signs of the older format. Its keys are in the order of their names, as in `nlohmann::json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HashedFingerprint<'a> {
    dependent_realisations: &'a BTreeMap<String, String>,
    id: &'a str,
    out_path: String,
}

/// What Nix signs of the newer format.
#[derive(Serialize)]
struct TracedFingerprint<'a> {
    key: TracedKey<'a>,
    value: TracedValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TracedKey<'a> {
    drv_path: &'a str,
    output_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TracedValue {
    out_path: String,
}

impl Realisation {
    /// Parses the file of a realisation. Signatures that cannot be parsed are left out.
    ///
    /// # Errors
    ///
    /// See [`RealisationError`].
    pub fn parse(key: RealisationKey, json: &[u8]) -> Result<Self, RealisationError> {
        let document: Map<String, Value> =
            serde_json::from_slice(json).map_err(|_| RealisationError::Malformed)?;
        let path = document.get("outPath").and_then(Value::as_str).ok_or(RealisationError::Malformed)?;
        let path = StorePath::from_base_name(path).map_err(|_| RealisationError::Malformed)?;
        let mut dependents = BTreeMap::new();
        if let RealisationKey::Hashed(expected) = &key {
            if document.get("id").and_then(Value::as_str) != Some(expected) {
                return Err(RealisationError::OtherKey);
            }
            if let Some(value) = document.get("dependentRealisations") {
                dependents = BTreeMap::deserialize(value).map_err(|_| RealisationError::Malformed)?;
            }
        }
        let mut realisation = Self { key, path, dependents, signatures: Vec::new(), document };
        if let Some(Value::Array(signatures)) = realisation.document.remove("signatures") {
            for value in signatures {
                let signature = match AnySignature::deserialize(value) {
                    Ok(AnySignature::Text(text)) => Signature::parse(&text),
                    Ok(AnySignature::Parts { key_name, sig }) => Signature::from_base64(&key_name, &sig),
                    Err(_) => continue,
                };
                realisation.add_signatures(signature);
            }
        }
        Ok(realisation)
    }

    /// Returns the store path that the output turned out to be.
    pub const fn path(&self) -> &StorePath {
        &self.path
    }

    /// Returns the signatures, which nobody has verified.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Returns the texts whose signatures Nix accepts. Nix from 2.34 on takes no notice of the realisations that this one was made
    /// with, so there are two where it has any.
    pub fn fingerprints(&self) -> Vec<String> {
        let out_path = self.path.to_string();
        match &self.key {
            RealisationKey::Traced { derivation, output } => {
                let key = TracedKey { drv_path: derivation, output_name: output };
                vec![compact(&TracedFingerprint { key, value: TracedValue { out_path } })]
            }
            RealisationKey::Hashed(id) => {
                let with = |dependents| {
                    let out_path = out_path.clone();
                    compact(&HashedFingerprint { dependent_realisations: dependents, id, out_path })
                };
                let none = BTreeMap::new();
                let mut fingerprints = vec![with(&none)];
                if !self.dependents.is_empty() {
                    fingerprints.push(with(&self.dependents));
                }
                fingerprints
            }
        }
    }

    /// Whether another file about the same output says the same: signatures aside.
    pub fn agrees_with(&self, other: &Self) -> bool {
        (&self.key, &self.path, &self.dependents) == (&other.key, &other.path, &other.dependents)
    }

    /// Adds signatures that it lacks. Returns whether there were any. A file holds a limited number of them.
    pub fn add_signatures(&mut self, signatures: impl IntoIterator<Item = Signature>) -> bool {
        let before = self.signatures.len();
        for signature in signatures {
            if self.signatures.len() < MOST_SIGNATURES && !self.signatures.contains(&signature) {
                self.signatures.push(signature);
            }
        }
        self.signatures.len() > before
    }

    /// Returns the file. Signatures are written as text, which every Nix reads.
    pub fn to_json(&self) -> String {
        let mut document = self.document.clone();
        let signatures = self.signatures.iter().map(|signature| Value::String(signature.to_string()));
        document.insert("signatures".to_owned(), signatures.collect());
        compact(&document)
    }
}

/// JSON without spaces. Maps with keys that are text always serialize.
fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
#[path = "realisation/tests.rs"]
mod tests;
