//! A certificate chain with its key.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::sign::CertifiedKey;

use super::TlsError;
use super::certificate::{Description, names_host, sha256};
use super::files::{Files, certificates, read};

/// A certificate chain with its key, as it was read from two files.
pub struct Identity {
    pub(super) files: Files,
    pub(super) chain: Arc<CertifiedKey>,
    pub(super) description: Description,
    /// SHA-256 of both files, to notice a change.
    pub(super) digest: [[u8; 32]; 2],
}

impl Identity {
    /// Reads both files, and makes sure that they belong together. Blocks.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read or is not what it should be.
    pub fn read(files: &Files) -> Result<Self, TlsError> {
        let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
        let digest = [sha256(&certificate), sha256(&key)];
        let certificates = certificates(&files.certificate, &certificate)?;
        let unusable = |path: &Path, reason: String| TlsError::Unusable { path: path.to_owned(), reason };
        let description = Description::parse(&certificates[0])
            .map_err(|reason| unusable(&files.certificate, format!("the first certificate: {reason}")))?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| match error {
            PemError::NoItemsFound => TlsError::Absent { path: files.key.clone(), what: "private key" },
            // The text of other errors may quote the file.
            _ => unusable(&files.key, "it is not a private key in PEM format".to_owned()),
        })?;
        let key = any_supported_type(&key)
            .map_err(|_| unusable(&files.key, "keys of this kind are not supported".to_owned()))?;
        let chain = CertifiedKey::new(certificates, key);
        chain.keys_match().map_err(|_| TlsError::Mismatch {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        })?;
        Ok(Self { files: files.clone(), chain: Arc::new(chain), description, digest })
    }

    /// Whether the certificate is for this host.
    pub(super) fn names(&self, host: &str) -> bool {
        self.description.names.iter().any(|name| names_host(name, host))
    }
}
