//! What changed in the catalog, for those who keep parts of it in memory.

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
    /// The signing keys of a cache changed: look at [`Catalog::signing_keys`].
    SigningKeys {
        /// The cache.
        cache: CacheId,
    },
    /// A token was issued or revoked: look at [`Catalog::tokens`].
    Tokens,
    /// A deployment of this agent was added or changed: look at [`Catalog::open_deployment`].
    Deployments {
        /// The agent.
        agent: AgentId,
    },
    /// Changes may have been missed, or more changed than can be told: a storage was enabled or disabled. Whatever is kept in memory is to be loaded again; the changes that follow are whole
    /// from here on.
    Resync,
}

/// What happened to a store path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathChange {
    /// It became visible: it is new, or was healed, or its file was brought back from a storage that is not enabled.
    Inserted,
    /// It is as visible as before, but what its narinfo says changed.
    Updated,
    /// Its file is damaged: it must not be served until it is inserted again.
    Hidden,
    /// It is gone.
    Removed,
}

impl Catalog {
    /// The changes to the catalog, in the order in which they took effect, usually within milliseconds.
    ///
    /// On PostgreSQL the first item is [`CatalogChange::Resync`], which means that the stream listens: load what is to be
    /// kept in memory then, not before, so that nothing falls between. It comes again whenever the connection was lost,
    /// or a storage was enabled or disabled.
    /// Changes that this daemon made come as well; applying all of them, in their order, leads to the true state. The
    /// stream ends when the catalog is closed. Each stream takes a connection; poll it without long pauses, as the server
    /// keeps for it what it has not read.
    ///
    /// On SQLite this daemon is the only one that writes, and the stream ends at once.
    pub fn changes(&self) -> impl Stream<Item = CatalogChange> + Send + use<> {
        match self.database() {
            Database::Sqlite(_) => stream::empty().left_stream(),
            Database::Postgres(server) => server.changes().right_stream(),
        }
    }
}
