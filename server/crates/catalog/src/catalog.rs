//! The handle: opening, closing, and the two ways into the database.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionOptions};

use crate::writer::{Writer, WriterStats};
use crate::{CatalogError, migration, sqlite};

/// What a backend gives: one connection that writes, several that read, and how a writing transaction begins.
pub(crate) struct Connections {
    pub(crate) writer: DatabaseConnection,
    pub(crate) readers: DatabaseConnection,
    pub(crate) transaction: TransactionOptions,
}

/// The catalog of one daemon. Clones share one database.
///
/// Dropping the last clone lets the writer finish what was submitted, in the background; [`Catalog::close`] waits for it.
#[derive(Clone, Debug)]
pub struct Catalog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    readers: DatabaseConnection,
    writer: Writer,
    /// The connection that the writer uses; here only to be closed.
    writer_connection: DatabaseConnection,
}

impl Catalog {
    /// Opens the database, creates it if it is missing, and brings its schema up to date. Must be called on a tokio
    /// runtime, which then runs the writer.
    ///
    /// `url` is `sqlite:///absolute/path`, `sqlite://relative/path` or `sqlite::memory:`. A new SQLite file gets mode 0600,
    /// its missing directories 0700.
    ///
    /// # Errors
    ///
    /// [`CatalogError::NewerDatabase`] if a newer version of this program has changed the schema.
    pub async fn open(url: &str) -> Result<Self, CatalogError> {
        let connections = match url.split_once(':') {
            Some(("sqlite", _)) => sqlite::connect(url).await?,
            Some((scheme, _)) => {
                return Err(CatalogError::UnsupportedDatabase { scheme: scheme.to_owned() });
            }
            None => {
                return Err(CatalogError::InvalidUrl { reason: "it has no scheme".to_owned() });
            }
        };
        migration::migrate(&connections.writer, connections.transaction).await?;
        Ok(Self {
            shared: Arc::new(Shared {
                readers: connections.readers,
                writer: Writer::start(connections.writer.clone(), connections.transaction),
                writer_connection: connections.writer,
            }),
        })
    }

    /// Refuses new writes, waits until those submitted are done, and closes the database. Later calls, on any clone, give
    /// [`CatalogError::Closed`] or a database error.
    pub async fn close(&self) {
        self.shared.writer.close().await;
        // The writer's connection is the last: SQLite then puts all that is in its log into the database and removes the
        // log, which a connection that only reads cannot.
        for connection in [&self.shared.readers, &self.shared.writer_connection] {
            if let Err(error) = connection.close_by_ref().await {
                tracing::warn!(%error, "closing the catalog failed");
            }
        }
    }

    /// How many writes were done in how many transactions since the catalog was opened.
    pub fn writer_stats(&self) -> WriterStats {
        self.shared.writer.stats()
    }

    /// Where queries go. They see every write that was acknowledged before they began.
    pub(crate) fn readers(&self) -> &DatabaseConnection {
        &self.shared.readers
    }

    /// Runs `work` on the writer and returns its result once it is durable. An error undoes what `work` did, and nothing
    /// else.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, CatalogError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, CatalogError>> + Send + 'static,
    {
        self.shared.writer.run(work).await
    }

    /// How many writes wait for the writer.
    #[cfg(test)]
    pub(crate) fn writes_waiting(&self) -> usize {
        self.shared.writer.waiting()
    }
}
