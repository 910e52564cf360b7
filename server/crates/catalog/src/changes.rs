//! Changes to the catalog, for code that keeps parts of it in memory.

use futures_util::stream::{self, Stream, StreamExt};
use nix_formats::StorePathHash;

use crate::database::Database;
use crate::{AgentId, CacheId, Catalog};

/// A change that was committed, by this daemon or by another one that uses the same database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogChange {
    /// A store path changed.
    Path {
        /// The cache it belongs to.
        cache: CacheId,
        /// The path.
        path: StorePathHash,
        /// What happened to it.
        change: PathChange,
    },
    /// The signing keys of a cache changed: read [`Catalog::signing_keys`].
    SigningKeys {
        /// The cache.
        cache: CacheId,
    },
    /// A token was issued or revoked: read [`Catalog::tokens`].
    Tokens,
    /// A deployment of this agent was added or changed: read [`Catalog::open_deployment`].
    Deployments {
        /// The agent.
        agent: AgentId,
    },
    /// Changes may have been missed, or too many happened at once, as when a storage was enabled or disabled. Load again
    /// everything kept in memory; the changes that follow are complete.
    Resync,
}

/// What happened to a store path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathChange {
    /// It became visible: it is new, it was healed, or its file was moved off a disabled storage.
    Inserted,
    /// Its visibility is the same, but its narinfo changed.
    Updated,
    /// Its file is damaged: do not serve it until it is inserted again.
    Hidden,
    /// It was removed.
    Removed,
}

impl Catalog {
    /// Returns the changes to the catalog in the order in which they took effect, usually within milliseconds.
    ///
    /// On PostgreSQL the first item is [`CatalogChange::Resync`]: the stream is listening. Load the state to keep in memory
    /// then, not before, so that no change is missed. The item is repeated after a lost connection and after a storage was
    /// enabled or disabled. The stream includes the changes of this daemon; applying all of them in order gives the true
    /// state. The stream ends when the catalog is closed. Each stream takes a connection; poll it without long pauses,
    /// because the server buffers what was not read.
    ///
    /// On SQLite, where only this daemon writes, the stream ends at once.
    pub fn changes(&self) -> impl Stream<Item = CatalogChange> + Send + use<> {
        match self.database() {
            Database::Sqlite(_) => stream::empty().left_stream(),
            Database::Postgres(server) => server.changes().right_stream(),
        }
    }
}
