//! The settings of each port.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::certificate::sha256;
use super::files::{Files, Sources, authorities};
use super::{CertificateInfo, Identity, TlsError};

/// HTTP/2 where the client can, else HTTP/1.1.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The settings of each port, and what they were made from.
#[derive(Default)]
pub struct Table {
    sources: Sources,
    identities: Vec<(Option<String>, Arc<Identity>)>,
    /// SHA-256 of the authorities of clients.
    authorities: Vec<[u8; 32]>,
    server: Option<Arc<ServerConfig>>,
    ports: HashMap<u16, Arc<ServerConfig>>,
}

impl Table {
    /// Reads all files.
    pub(super) fn read(sources: Sources) -> Result<Self, TlsError> {
        let mut identities = Vec::new();
        let mut read = |owner: Option<&str>, files: &Files| {
            let identity = Arc::new(Identity::read(files)?);
            identities.push((owner.map(str::to_owned), identity.clone()));
            Ok::<_, TlsError>(identity)
        };
        let server = sources.server.as_ref().map(|files| read(None, files)).transpose()?;
        let mut of_ports = Vec::new();
        for (cache, port, files) in &sources.caches {
            let identity = read(Some(cache), files)?;
            of_ports.extend(port.map(|port| (port, identity)));
        }
        let roots = authorities(&sources.client_authorities)?;
        let digests = roots.roots.iter().map(|root| sha256(&root.subject_public_key_info)).collect();
        let all: Vec<_> = identities.iter().map(|(_, identity)| identity.clone()).collect();
        let settings = Settings { verifier: verifier(roots)?, all: all.into() };
        let server = server.map(|identity| settings.with_default(&identity)).transpose()?;
        let ports =
            of_ports.into_iter().map(|(port, identity)| Ok((port, settings.with_default(&identity)?)));
        let ports = ports.collect::<Result<_, TlsError>>()?;
        Ok(Self { sources, identities, authorities: digests, server, ports })
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn of_server(&self) -> Option<Arc<ServerConfig>> {
        self.server.clone()
    }

    pub(super) fn of_port(&self, port: u16) -> Option<Arc<ServerConfig>> {
        self.ports.get(&port).or(self.server.as_ref()).cloned()
    }

    /// Whether both were made from the same bytes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let digests =
            |table: &Self| table.identities.iter().map(|(_, identity)| identity.digest).collect::<Vec<_>>();
        self.sources == other.sources
            && self.authorities == other.authorities
            && digests(self) == digests(other)
    }

    pub(super) fn certificates(&self) -> Vec<CertificateInfo> {
        let info = |(cache, identity): &(Option<String>, Arc<Identity>)| CertificateInfo {
            cache: cache.clone(),
            file: identity.files.certificate.display().to_string(),
            names: identity.description.names.clone(),
            ends: identity.description.ends,
        };
        self.identities.iter().map(info).collect()
    }
}

/// Checks the certificates of clients that present one. `None` if there is no authority for them.
fn verifier(roots: RootCertStore) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if roots.is_empty() {
        return Ok(None);
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(Some(verifier))
}

/// What the settings of all ports have in common.
struct Settings {
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    all: Arc<[Arc<Identity>]>,
}

impl Settings {
    /// The settings of a port that presents this certificate unless the client asks for a host that another one names.
    fn with_default(&self, identity: &Arc<Identity>) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(ring::default_provider().into())
            // TLS 1.2 and 1.3.
            .with_safe_default_protocol_versions()?;
        let builder = match &self.verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
            None => builder.with_no_client_auth(),
        };
        let resolver = ByName { default: identity.clone(), all: self.all.clone() };
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        // Tickets of earlier settings are void, so a client whose authority is no longer listed has to prove itself again.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Arc::new(config))
    }
}

/// Chooses the certificate by the host name that the client asks for.
#[derive(Debug)]
struct ByName {
    default: Arc<Identity>,
    all: Arc<[Arc<Identity>]>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(host) = hello.server_name() else { return Some(self.default.chain.clone()) };
        let fits = |identity: &&Arc<Identity>| identity.names(host);
        let chosen = Some(&self.default).filter(fits).or_else(|| self.all.iter().find(fits));
        Some(chosen.unwrap_or(&self.default).chain.clone())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).finish_non_exhaustive()
    }
}
