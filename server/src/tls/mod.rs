//! TLS of the daemon's own ports: which certificate each port presents, and how new files come into force.
//!
//! | file | what |
//! |---|---|
//! | `files.rs` | the files that the configuration names, and how they are read |
//! | `identity.rs` | a certificate chain with its key, checked |
//! | `certificate.rs` | names and dates in a certificate |
//! | `table.rs` | the settings of each port, made from all identities |
//! | `outbound.rs` | whom the daemon trusts when it connects to others |
//!
//! Nothing here knows HTTP, caches or sockets. Ports take their settings once for each connection, so what is replaced holds for
//! the next one, and connections that are open go on.

mod certificate;
mod error;
mod files;
mod identity;
mod outbound;
mod table;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;

pub use self::certificate::{ClientCertificate, names_host};
pub use self::error::TlsError;
pub use self::files::{Files, Sources};
pub use self::identity::Identity;
pub use self::outbound::{trust, trusting};
use self::table::Table;

/// TLS of the daemon's own ports.
#[derive(Default)]
pub struct Tls {
    table: ArcSwap<Table>,
}

/// What [`Tls::prepare`] has read, until [`Tls::apply`] puts it into force.
pub struct Prepared(Table);

/// A certificate that is in use, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The cache that it was given for; `None` for the whole server.
    pub cache: Option<String>,
    /// The file that it comes from.
    pub file: String,
    /// The host names in it.
    pub names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub ends: i64,
}

impl Tls {
    /// Reads the files of `sources`. Blocks.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or is not what it should be.
    pub fn open(sources: Sources) -> Result<Self, TlsError> {
        Ok(Self { table: ArcSwap::from_pointee(Table::read(sources)?) })
    }

    /// Reads the files of other `sources`, which come into force later. Blocks.
    ///
    /// # Errors
    ///
    /// As for [`Tls::open`].
    pub fn prepare(sources: Sources) -> Result<Prepared, TlsError> {
        Table::read(sources).map(Prepared)
    }

    /// Puts what was prepared into force for connections from now on.
    pub fn apply(&self, Prepared(table): Prepared) {
        self.table.store(Arc::new(table));
    }

    /// Reads the files again that are in use, and puts them into force if one has changed. Returns whether that was so. Blocks.
    ///
    /// # Errors
    ///
    /// As for [`Tls::open`]. What was in force stays so.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let current = self.table.load_full();
        let table = Table::read(current.sources().clone())?;
        if table.is_same(&current) {
            return Ok(false);
        }
        // Unless a reload was faster.
        let before = self.table.compare_and_swap(&current, Arc::new(table));
        Ok(Arc::ptr_eq(&before, &current))
    }

    /// The settings of the ports of the server. `None` if they speak plain HTTP.
    pub fn of_server(&self) -> Option<Arc<ServerConfig>> {
        self.table.load().of_server()
    }

    /// The settings of the port that a cache has to itself. `None` if it speaks plain HTTP.
    pub fn of_port(&self, port: u16) -> Option<Arc<ServerConfig>> {
        self.table.load().of_port(port)
    }

    /// The certificates that are in use.
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        self.table.load().certificates()
    }

    /// Whether any port speaks TLS.
    pub fn is_used(&self) -> bool {
        !self.table.load().sources().is_empty()
    }
}

#[cfg(test)]
mod tests;
