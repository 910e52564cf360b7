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
/// If one of the files cannot be read or is not what it should be.
pub fn trust(files: &[PathBuf]) -> Result<ClientConfig, TlsError> {
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
    let builder: ConfigBuilder<ClientConfig, WantsClientCert> = builder.with_root_certificates(roots);
    Ok(builder.with_no_client_auth())
}
