//! The handle of the catalog: opening, closing, reading and writing.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use crate::CatalogError;
use crate::database::{Database, Pace, Readers};
use crate::writer::{WriteFailure, Writer, WriterMeters, WriterStats, Written};

/// The catalog of one daemon. Clones share one database.
///
/// Dropping the last clone lets the writer finish what was submitted, in the background; [`Catalog::close`] waits for it.
#[derive(Clone, Debug)]
pub struct Catalog {
    shared: Arc<Shared>,
    readers: Readers,
}

#[derive(Debug)]
struct Shared {
    database: Arc<Database>,
    writer: Writer,
}

impl Catalog {
    /// Opens the database, creates it if it is a file that is missing, and brings its schema up to date. Must be called on
    /// a tokio runtime, which then runs the writer.
    ///
    /// `url` is one of
    ///
    /// * `sqlite:///absolute/path` or `sqlite://relative/path`. A new SQLite file gets mode 0600, its missing directories
    ///   0700. Only one daemon may use it.
    /// * `postgres://user:password@host:port/database`, for PostgreSQL 13 or newer. Several daemons may use it. What the
    ///   URL leaves out is taken from the environment (`PGHOST`, `PGPASSWORD` and so on) and from the password file;
    ///   `?host=/directory` names a Unix socket, `?sslmode=verify-full&sslrootcert=FILE` asks for TLS. A connection pooler
    ///   between must keep sessions together, as the feed of changes listens on one.
    ///
    /// # Errors
    ///
    /// If the disk of an existing SQLite file is full or failing, the catalog can be read and [`Catalog::write_failure`] says
    /// why it cannot be written; each write tries again.
    ///
    /// [`CatalogError::NewerDatabase`] if a newer version of this program has changed the schema;
    /// [`CatalogError::EarlyDatabase`] if an early development version made the database;
    /// [`CatalogError::Connect`] if the database server cannot be used.
    pub async fn open(url: &str) -> Result<Self, CatalogError> {
        let database = Arc::new(Database::open(url).await?);
        let writer = Writer::start(database.clone());
        let readers = Readers { database: database.clone(), pace: Pace::Usual };
        let catalog = Self { shared: Arc::new(Shared { database, writer }), readers };
        if catalog.database().is_read_only().await {
            // It fails, which everybody who asks has to know.
            let _ = catalog.try_writing().await;
        }
        Ok(catalog)
    }

    /// Returns a clone whose queries yield to all others: they have connections of their own, whose threads have a low priority. On
    /// PostgreSQL the server does the work, and the clone is like any other.
    pub fn unhurried(&self) -> Self {
        let readers = Readers { database: self.shared.database.clone(), pace: Pace::Unhurried };
        Self { shared: self.shared.clone(), readers }
    }

    /// Refuses new writes, waits for those submitted, and closes the database. Later calls on any clone return
    /// [`CatalogError::Closed`] or a database error.
    pub async fn close(&self) {
        self.shared.writer.close().await;
        self.shared.database.close().await;
    }

    /// Returns whether other daemons may use the same database, that is, whether it is on PostgreSQL.
    pub fn is_shared(&self) -> bool {
        matches!(self.database(), Database::Postgres(_))
    }

    /// Returns how many writes ran in how many transactions since the catalog was opened.
    pub fn writer_stats(&self) -> WriterStats {
        self.shared.writer.stats()
    }

    /// Returns whether the database could be written the last time that somebody tried.
    pub fn is_writable(&self) -> bool {
        !self.shared.writer.is_failing()
    }

    /// Returns since when the database cannot be written, and why, if that is so. A write finds out whether it can be again:
    /// see [`Catalog::try_writing`].
    pub fn write_failure(&self) -> Option<WriteFailure> {
        self.shared.writer.failure()
    }

    /// Returns the connection for queries. They see every write of any daemon that was acknowledged before they began.
    pub(crate) fn readers(&self) -> &impl ConnectionTrait {
        &self.readers
    }

    pub(crate) fn database(&self) -> &Database {
        &self.shared.database
    }

    /// Runs `work` on the writer and returns its result once it is durable. An error rolls back `work` and nothing else.
    ///
    /// No other write runs at the same time, not even by another daemon, so what `work` reads stays true until its end. It
    /// may run more than once if the connection to the database is lost before the transaction ends.
    pub(crate) async fn write<I, T, F>(&self, input: I, work: F) -> Result<T, CatalogError>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t DatabaseTransaction, &'t I) -> BoxFuture<'t, Result<Written<T>, CatalogError>>
            + Send
            + 'static,
    {
        traces::within("catalog write", Vec::new, self.shared.writer.run(input, work)).await
    }

    /// Returns what is measured of the writer.
    pub fn writer_meters(&self) -> &WriterMeters {
        self.shared.writer.meters()
    }

    /// Returns how many writes wait for the writer.
    pub fn writes_waiting(&self) -> usize {
        self.shared.writer.waiting()
    }
}
