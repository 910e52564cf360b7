//! Names and dates in a certificate.

use std::collections::BTreeMap;
use std::fmt::Write;

use ring::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// The certificate that a client presented, whose authority was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// What it says, by the names that the configuration uses. A claim may have several values.
    pub claims: BTreeMap<String, Vec<String>>,
    /// SHA-256 of all of it.
    pub fingerprint: [u8; 32],
    /// When it ends, in seconds since 1970.
    pub ends: i64,
}

impl ClientCertificate {
    /// Reads a certificate. `None` if it is none.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let fingerprint = sha256(der);
        let mut claims = BTreeMap::<String, Vec<String>>::new();
        let mut add = |claim: &str, value: &str| {
            claims.entry(claim.to_owned()).or_default().push(value.to_owned());
        };
        add("fingerprint", &hex(&fingerprint));
        add("subject", &certificate.subject().to_string());
        add("issuer", &certificate.issuer().to_string());
        let common_names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        common_names.for_each(|name| add("cn", name));
        for name in alternative_names(&certificate) {
            match name {
                GeneralName::DNSName(name) => add("dns", name),
                GeneralName::RFC822Name(name) => add("email", name),
                GeneralName::URI(name) => add("uri", name),
                _ => {}
            }
        }
        Some(Self { claims, fingerprint, ends: certificate.validity().not_after.timestamp() })
    }
}

/// What operators are told about a certificate of this server.
pub(super) struct Description {
    /// The host names in it, in lower case.
    pub names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub ends: i64,
}

impl Description {
    /// Reads a certificate. Fails if it is none.
    pub(super) fn parse(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = parse_x509_certificate(der).map_err(|error| error.to_string())?;
        let names = alternative_names(&certificate)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            })
            .collect();
        Ok(Self { names, ends: certificate.validity().not_after.timestamp() })
    }
}

fn alternative_names<'c>(certificate: &'c X509Certificate<'c>) -> impl Iterator<Item = &'c GeneralName<'c>> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    extension.into_iter().flat_map(|extension| &extension.value.general_names)
}

/// Whether a name in a certificate stands for the host. `*` stands for one label.
pub fn names_host(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(host),
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
