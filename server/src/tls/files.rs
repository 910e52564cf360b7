//! The files that the configuration names, and how they are read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::TlsError;

/// Largest file in bytes. Guards against the path of something else, such as a disk.
const MOST: u64 = 1 << 20;

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, followed by those of the authorities between it and a known one.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// All files that TLS is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// For all ports that have nothing of their own.
    pub server: Option<Files>,
    /// The authorities whose certificates clients may present.
    pub client_authorities: Vec<PathBuf>,
    /// Those of caches: name, port, files.
    pub caches: Vec<(String, Option<u16>, Files)>,
}

impl Sources {
    /// Whether no port speaks TLS.
    pub fn is_empty(&self) -> bool {
        self.server.is_none() && self.caches.is_empty()
    }
}

/// Reads a whole file. What is read may be a key, so its memory is wiped.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    let fits =
        read.and_then(
            |length| {
                if length as u64 > MOST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
            },
        );
    fits.map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// The certificates in the text of a file, at least one.
pub(super) fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let unusable = |reason: String| TlsError::Unusable { path: path.to_owned(), reason };
    let found = found.map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() {
        return Err(TlsError::Absent { path: path.to_owned(), what: "certificate" });
    }
    Ok(found)
}

/// The certificates of authorities in files.
pub(super) fn authorities(paths: &[PathBuf]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in paths {
        for certificate in certificates(path, &read(path)?)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Unusable { path: path.clone(), reason: error.to_string() })?;
        }
    }
    Ok(roots)
}
