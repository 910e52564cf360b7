//! Whom the daemon trusts when it connects to others.

use std::path::PathBuf;

use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::TlsError;
use super::files::authorities;

/// Settings for HTTPS to others: the authorities that this system trusts, and those in the files.
///
/// # Errors
///
/// See [`trusting`].
pub fn trust(files: &[PathBuf]) -> Result<ClientConfig, TlsError> {
    Ok(trusting(files)?.with_no_client_auth())
}

/// The same settings, to be completed by what the daemon shows of itself.
///
/// # Errors
///
/// If one of the files cannot be read or is not what it should be.
pub fn trusting(files: &[PathBuf]) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let builder: ConfigBuilder<ClientConfig, WantsVerifier> =
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()?;
    let mut roots: RootCertStore = authorities(files)?;
    let of_system = rustls_native_certs::load_native_certs();
    let (_, unusable) = roots.add_parsable_certificates(of_system.certs);
    if roots.is_empty() {
        tracing::debug!(
            unusable,
            errors = of_system.errors.len(),
            "this system has no certificates of authorities: no HTTPS to others"
        );
    }
    Ok(builder.with_root_certificates(roots))
}
