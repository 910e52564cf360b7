//! Queries.

use std::future::Future;
use std::time::Instant;

use sea_orm::{DatabaseConnection, DbErr};
use tokio::time::sleep;

use super::{PAUSE, Postgres, RETRY};
use crate::error::is_unavailable;

impl Postgres {
    /// Runs a query and retries it if its connection was lost, as all are after a restart of the server.
    pub(crate) async fn read<'s, T, Q>(
        &'s self,
        query: impl Fn(&'s DatabaseConnection) -> Q,
    ) -> Result<T, DbErr>
    where
        Q: Future<Output = Result<T, DbErr>>,
    {
        let begin = Instant::now();
        loop {
            match self.watched(query(&self.readers)).await {
                Err(error) if is_unavailable(&error) && begin.elapsed() < RETRY => {
                    tracing::debug!(%error, "retrying a query");
                    sleep(PAUSE).await;
                }
                result => return result,
            }
        }
    }
}
