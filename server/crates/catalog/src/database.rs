//! The two kinds of database behind one type, and the connections for queries.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use crate::CatalogError;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::writer::{Command, Turn};

/// An open database. [`Readers`] answer queries; only [`Database::commit`] writes.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(Box<Sqlite>),
    Postgres(Arc<Postgres>),
}

impl Database {
    /// Opens the database at `url` and migrates its schema.
    pub(crate) async fn open(url: &str) -> Result<Self, CatalogError> {
        match url.split_once(':') {
            Some(("sqlite", _)) => Sqlite::open(url).await.map(|database| Self::Sqlite(Box::new(database))),
            Some(("postgres" | "postgresql", _)) => {
                Postgres::open(url).await.map(|server| Self::Postgres(Arc::new(server)))
            }
            Some((scheme, _)) => Err(CatalogError::UnsupportedDatabase { scheme: scheme.to_owned() }),
            None => Err(CatalogError::InvalidUrl { reason: "it has no scheme".to_owned() }),
        }
    }

    /// Runs commands, from the first on, in one transaction.
    pub(crate) async fn commit(&self, commands: &mut [Box<dyn Command>]) -> Turn {
        match self {
            Self::Sqlite(database) => database.commit(commands).await,
            Self::Postgres(server) => server.commit(commands).await,
        }
    }

    /// Returns whether the database could be opened for queries alone.
    pub(crate) async fn is_read_only(&self) -> bool {
        match self {
            Self::Sqlite(database) => database.is_read_only().await,
            Self::Postgres(_) => false,
        }
    }

    /// Closes all connections.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::Postgres(server) => server.close().await,
        }
    }
}

/// How urgent queries are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Somebody waits for them.
    Usual,
    /// They yield to all others.
    Unhurried,
}

/// The connections for queries.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    pub(crate) database: Arc<Database>,
    pub(crate) pace: Pace,
}

#[async_trait::async_trait]
impl ConnectionTrait for Readers {
    fn get_database_backend(&self) -> DbBackend {
        match &*self.database {
            Database::Sqlite(_) => DbBackend::Sqlite,
            Database::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &*self.database {
            Database::Sqlite(database) => database.readers(self.pace).await.query_one_raw(statement).await,
            Database::Postgres(server) => {
                server.read(|readers| readers.query_one_raw(statement.clone())).await
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &*self.database {
            Database::Sqlite(database) => database.readers(self.pace).await.query_all_raw(statement).await,
            Database::Postgres(server) => {
                server.read(|readers| readers.query_all_raw(statement.clone())).await
            }
        }
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(only_queries())
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(only_queries())
    }
}

fn only_queries() -> DbErr {
    DbErr::Custom("a write outside the writer".to_owned())
}

/// Returns SQL, in which `?` stands for each value, with the parameters as the database writes them.
pub(crate) fn positional(backend: DbBackend, text: &str) -> String {
    if backend != DbBackend::Postgres {
        return text.to_owned();
    }
    let mut pieces = text.split('?');
    let mut numbered = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in (1..).zip(pieces) {
        numbered.push_str(&format!("${number}{piece}"));
    }
    numbered
}
