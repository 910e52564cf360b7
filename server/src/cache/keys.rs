//! Whose signatures a cache publishes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use catalog::{KeyOrigin, SigningKeyRecord};
use nix_formats::{KeyError, NarInfo, PublicKey, Signature, SigningKey};
use zeroize::Zeroizing;

use crate::config::SigningMode;

/// The keys of one cache.
#[derive(Clone)]
pub struct KeyRing {
    mode: SigningMode,
    /// Keys that this server signs with, all of them side by side, so that a key can be rotated.
    server: Vec<SigningKey>,
    /// Keys that were added to those later. They also sign what was there before them.
    added: Vec<SigningKey>,
    /// The key a client registered. From then on the cache publishes this one and no other.
    client: Option<PublicKey>,
    /// Keys whose signatures are kept when a pusher brings them.
    trusted: Vec<PublicKey>,
    /// The names under which deploy agents look for signatures of the cache, `NAME.HOST-1` of the public host first. An
    /// agent makes the name from the host that it connects to, and takes the key from us (protocol reference 7.6).
    agent_names: Vec<String>,
}

/// The key of cache.nixos.org, which Nix has built in, and which agents trust besides.
pub const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
/// Most names under which agents look for signatures. Each is a line in every narinfo.
const MOST_AGENT_NAMES: usize = 8;

/// What the first key of a cache is called on the server `host`. Deploy agents make the same name.
pub fn name_for(cache: &str, host: &str) -> String {
    format!("{cache}.{host}-1")
}

/// Which of the names that agents look for are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentNames {
    /// The one of the public host, which stays the same.
    Public,
    /// Also those of other hosts that agents have connected to since the start.
    All,
}

/// The signatures a pusher brought.
pub enum Offered {
    /// `cSig` of the Cachix protocol: base64 without a key name, or nothing.
    Bare(Option<String>),
    /// `Sig` lines of a narinfo.
    Named(Vec<Signature>),
    /// Signatures of a path of another cache that were verified there. All of them are kept.
    Checked(Vec<Signature>),
}

/// Why a path cannot be signed. The text is for the client.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignError {
    /// The cache is client-signed and nobody registered a key yet.
    #[error(
        "this cache publishes only what its clients sign: register a key with `cachix generate-keypair` first"
    )]
    NoClientKey,
    /// A signature is needed and there is none.
    #[error("this cache is signed by its clients: push with the signing key of {0}")]
    Missing(String),
    /// The signature is not by the registered key, or is over something else.
    #[error("the signature does not verify with the cache's key {0}")]
    Invalid(String),
}

impl KeyRing {
    /// Puts the keys of a cache together.
    pub fn new(
        mode: SigningMode,
        server: Vec<SigningKey>,
        client: Option<PublicKey>,
        trusted: Vec<PublicKey>,
    ) -> Self {
        Self { mode, server, added: Vec::new(), client, trusted, agent_names: Vec::new() }
    }

    /// The same keys for a cache whose agents look for signatures under these names.
    pub fn with_agent_names(self, agent_names: Vec<String>) -> Self {
        Self { agent_names, ..self }
    }

    /// The same keys with one more name that agents look for. `None` if it is known, or there are too many.
    pub fn with_agent_name(&self, name: &str) -> Option<Self> {
        if self.agent_names.len() >= MOST_AGENT_NAMES || self.agent_names.iter().any(|known| known == name) {
            return None;
        }
        let mut keys = self.clone();
        keys.agent_names.push(name.to_owned());
        Some(keys)
    }

    /// The names under which agents look for signatures.
    pub fn agent_names(&self) -> &[String] {
        &self.agent_names
    }

    /// The same keys with one that signs beside them.
    pub fn with_added(&self, key: SigningKey) -> Self {
        let mut keys = self.clone();
        keys.added.push(key);
        keys
    }

    /// The same keys without one that signs.
    pub fn without(&self, key: &PublicKey) -> Self {
        let mut keys = self.clone();
        keys.server.retain(|other| other.public_key() != *key);
        keys.added.retain(|other| other.public_key() != *key);
        keys
    }

    /// The same keys after a client registered `key`: the server's own ones are out of use.
    pub fn with_client_key(&self, key: PublicKey) -> Self {
        Self { server: Vec::new(), added: Vec::new(), client: Some(key), ..self.clone() }
    }

    /// The keys that readers of the cache have to trust.
    pub fn published(&self) -> Vec<PublicKey> {
        match &self.client {
            Some(client) => vec![client.clone()],
            None => self.signing().map(SigningKey::public_key).collect(),
        }
    }

    /// Whether the server signs.
    pub fn is_of_server(&self) -> bool {
        self.client.is_none() && self.mode != SigningMode::Client
    }

    /// Whether the server signs with this key.
    pub fn signs_with(&self, key: &PublicKey) -> bool {
        self.signing().any(|other| other.public_key() == *key)
    }

    fn signing(&self) -> impl Iterator<Item = &SigningKey> {
        self.server.iter().chain(&self.added)
    }

    /// The key that agents get which look for signatures under `name`: the one of that name if it is in use, else the one
    /// whose signatures they then find under that name as well.
    pub fn agent_key(&self, name: &str) -> Option<PublicKey> {
        let published = self.published();
        let same = published.iter().find(|key| key.name() == name).cloned();
        same.or_else(|| self.repeated_key(&published).cloned())
    }

    /// The key whose signatures are repeated under the names that agents look for: that of the public host, else the first.
    fn repeated_key<'a>(&self, published: &'a [PublicKey]) -> Option<&'a PublicKey> {
        let public = self.agent_names.first();
        published.iter().find(|key| Some(key.name()) == public.map(String::as_str)).or(published.first())
    }

    /// The signatures of this server's keys that a path lacks: those of keys that were added since it was signed, and of
    /// all keys where a storage came with paths that others had signed.
    pub fn missing_signatures(&self, narinfo: &NarInfo) -> Vec<Signature> {
        if self.server.is_empty() && self.added.is_empty() {
            return Vec::new();
        }
        let fingerprint = narinfo.fingerprint();
        // The same key and text always give the same signature.
        let signatures = self.signing().map(|key| key.sign(&fingerprint));
        signatures.filter(|signature| !narinfo.signatures.contains(signature)).collect()
    }

    /// Adds the signatures that a path lacks, and those under the names that agents look for.
    pub fn sign_again(&self, narinfo: &mut NarInfo, names: AgentNames) {
        let missing = self.missing_signatures(narinfo);
        narinfo.signatures.extend(missing);
        self.sign_for_agents(narinfo, names);
    }

    /// Repeats the signature of one key under each name that they look for and no key in use has. What is
    /// signed does not hold the name of the key, so that takes no secret and works with a client's signature too.
    pub fn sign_for_agents(&self, narinfo: &mut NarInfo, names: AgentNames) {
        let published = self.published();
        let names = match names {
            AgentNames::Public => self.agent_names.get(..1).unwrap_or_default(),
            AgentNames::All => &self.agent_names,
        };
        let is_wanted = |name: &&String| published.iter().all(|key| key.name() != name.as_str());
        let mut names = names.iter().filter(is_wanted).peekable();
        let (Some(key), Some(_)) = (self.repeated_key(&published), names.peek()) else { return };
        let fingerprint = narinfo.fingerprint();
        let made = |signature: &&Signature| key.verify(&fingerprint, signature);
        let Some(signature) = narinfo.signatures.iter().find(made).cloned() else { return };
        for name in names {
            // A name that a key cannot have was never taken.
            if let Ok(renamed) = signature.renamed(name)
                && !narinfo.signatures.contains(&renamed)
            {
                narinfo.signatures.push(renamed);
            }
        }
    }

    /// Whether the key that a client registered has signed a path.
    pub fn is_signed_by_client(&self, narinfo: &NarInfo) -> bool {
        self.client.as_ref().is_some_and(|client| is_signed_by_one_of(narinfo, [client]))
    }

    /// Whether agents accept a path: they trust one key of the cache and that of cache.nixos.org, and check what is
    /// content-addressed by its contents.
    pub fn agents_accept(&self, narinfo: &NarInfo) -> bool {
        let official = PublicKey::parse(NIXOS_KEY).ok();
        let published = self.published();
        let keys = self.repeated_key(&published).into_iter().chain(&official);
        narinfo.ca.is_some() || is_signed_by_one_of(narinfo, keys)
    }

    /// Those of the offered signatures that a path with the signatures `present` lacks, made by keys that count here: trusted
    /// ones, and that of the client. One of each key, as its owner can make any number of them.
    pub fn further_signatures(
        &self,
        fingerprint: &str,
        offered: &Offered,
        present: &[Signature],
    ) -> Vec<Signature> {
        let mut further: Vec<Signature> = Vec::new();
        for key in self.trusted.iter().chain(&self.client) {
            let is_good = |signature: &&Signature| key.verify(fingerprint, signature);
            if present.iter().chain(&further).any(|known| is_good(&known)) {
                continue;
            }
            let good = match offered {
                Offered::Bare(None) => None,
                Offered::Bare(Some(bare)) => {
                    Signature::from_base64(key.name(), bare).ok().filter(|signature| is_good(&signature))
                }
                Offered::Named(signatures) | Offered::Checked(signatures) => {
                    signatures.iter().find(is_good).cloned()
                }
            };
            further.extend(good);
        }
        further
    }

    /// The key that a client registered.
    pub fn client(&self) -> Option<&PublicKey> {
        self.client.as_ref()
    }

    /// Whether clients may register a key of their own.
    pub fn accepts_registration(&self) -> bool {
        self.mode != SigningMode::Server
    }

    /// The signatures under which a path is published, given its fingerprint and what the pusher brought.
    pub fn sign(&self, fingerprint: &str, offered: &Offered) -> Result<Vec<Signature>, SignError> {
        let mut signatures = BTreeMap::new();
        match &self.client {
            Some(client) => {
                let signature = client_signature(client, fingerprint, offered)?;
                signatures.insert(signature.to_string(), signature);
            }
            None if self.mode == SigningMode::Client => return Err(SignError::NoClientKey),
            None => {
                for key in self.signing() {
                    let signature = key.sign(fingerprint);
                    signatures.insert(signature.to_string(), signature);
                }
            }
        }
        for signature in self.trusted_signatures(fingerprint, offered) {
            signatures.insert(signature.to_string(), signature);
        }
        Ok(signatures.into_values().collect())
    }

    /// The signatures of this server's keys for texts of which it made none before. None where a client signs.
    pub fn server_signatures(&self, fingerprints: &[String]) -> Vec<Signature> {
        if !self.is_of_server() {
            return Vec::new();
        }
        let keys = self.signing();
        keys.flat_map(|key| fingerprints.iter().map(|fingerprint| key.sign(fingerprint))).collect()
    }

    /// Those of the offered signatures that a trusted key made. The others are dropped, not refused: many clients carry
    /// signatures of keys that mean nothing here.
    fn trusted_signatures(&self, fingerprint: &str, offered: &Offered) -> Vec<Signature> {
        let candidates: Vec<Signature> = match offered {
            Offered::Bare(None) => Vec::new(),
            Offered::Bare(Some(bare)) => {
                self.trusted.iter().filter_map(|key| Signature::from_base64(key.name(), bare).ok()).collect()
            }
            Offered::Named(signatures) => signatures.clone(),
            Offered::Checked(signatures) => return signatures.clone(),
        };
        candidates
            .into_iter()
            .filter(|signature| self.trusted.iter().any(|key| key.verify(fingerprint, signature)))
            .collect()
    }
}

fn is_signed_by_one_of<'k>(narinfo: &NarInfo, keys: impl IntoIterator<Item = &'k PublicKey>) -> bool {
    let fingerprint = narinfo.fingerprint();
    keys.into_iter().any(|key| narinfo.signatures.iter().any(|signature| key.verify(&fingerprint, signature)))
}

fn client_signature(
    client: &PublicKey,
    fingerprint: &str,
    offered: &Offered,
) -> Result<Signature, SignError> {
    let name = || client.name().to_owned();
    let signature = match offered {
        Offered::Bare(None) => return Err(SignError::Missing(name())),
        Offered::Bare(Some(bare)) => {
            Signature::from_base64(client.name(), bare).map_err(|_| SignError::Invalid(name()))?
        }
        Offered::Named(signatures) | Offered::Checked(signatures) => {
            let mut candidates = signatures.iter().filter(|signature| signature.name() == client.name());
            let first = candidates.next().ok_or_else(|| SignError::Missing(name()))?;
            // Another key may have had the name before.
            let good = |signature: &&Signature| client.verify(fingerprint, signature);
            candidates.find(good).unwrap_or(first).clone()
        }
    };
    if client.verify(fingerprint, &signature) { Ok(signature) } else { Err(SignError::Invalid(name())) }
}

/// The key that a client registered, if one did.
pub fn client_key(keys: &[SigningKeyRecord]) -> Result<Option<PublicKey>, KeyError> {
    keys.iter()
        .find(|key| key.origin == KeyOrigin::Client && key.retired_at.is_none())
        .map(|key| PublicKey::from_bytes(&key.name, &key.public_key))
        .transpose()
}

/// Why a cache's signing keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A file cannot be read or written.
    #[error("signing key file {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("signing key file {path}: expected `NAME:BASE64`, as `nix key generate-secret` prints it")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// Two keys of one name: Nix would keep only one of them.
    #[error("signing key files {first} and {second} both hold a key named {name}: rename one of the keys")]
    DuplicateName {
        /// The name.
        name: String,
        /// The file that was read first.
        first: PathBuf,
        /// The file that repeats the name.
        second: PathBuf,
    },
}

/// Reads the given signing key files.
pub fn read_key_files(paths: &[PathBuf]) -> Result<Vec<SigningKey>, KeyFileError> {
    let mut keys: Vec<SigningKey> = Vec::with_capacity(paths.len());
    for (index, path) in paths.iter().enumerate() {
        let key = read_key_file(path)?;
        if let Some(earlier) = keys.iter().position(|other| other.name() == key.name()) {
            return Err(KeyFileError::DuplicateName {
                name: key.name().to_owned(),
                first: paths[earlier].clone(),
                second: paths[index].clone(),
            });
        }
        keys.push(key);
    }
    Ok(keys)
}

/// The generated key of a cache: read from `path`, or made and written there (mode 0600) the first time.
pub fn read_or_generate(path: &Path, name: &str) -> Result<SigningKey, KeyFileError> {
    if let Some(key) = find_key_file(path)? {
        return Ok(key);
    }
    let key = SigningKey::generate(name)
        .map_err(|source| KeyFileError::Format { path: path.to_owned(), source })?;
    private_file::write(path, key.to_nix_string().as_bytes())
        .map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
    Ok(key)
}

/// The key in a file, if there is one.
pub fn find_key_file(path: &Path) -> Result<Option<SigningKey>, KeyFileError> {
    match read_key_file(path) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn read_key_file(path: &Path) -> Result<SigningKey, KeyFileError> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| KeyFileError::Io { path: path.to_owned(), source })?;
    SigningKey::parse(text.trim()).map_err(|source| KeyFileError::Format { path: path.to_owned(), source })
}
