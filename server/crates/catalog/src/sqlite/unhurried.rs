//! Connections whose queries yield to everything else that the daemon does.
//!
//! Each connection of sqlx has a thread, on which SQLite works, and a thread has the priority of the one that starts it. So these
//! connections are opened on a thread of low priority. A reader of narinfo then hardly notices that somebody looks through the pages of
//! a large cache.

use std::time::Duration;

use rustix::process::{getpriority_process, setpriority_process};
use sea_orm::DbErr;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::{connection_error, pool};

/// How many there are.
const CONNECTIONS: u32 = 2;
/// By how much they are nicer than the daemon, as `nice` counts it: next to a busy thread of the daemon they get a tenth of a processor.
const NICER: i32 = 10;
/// The pause between two looks whether the pool has all of them, and how long that may take.
const GIVING_BACK: Duration = Duration::from_millis(1);
const LONGEST_GIVING_BACK: Duration = Duration::from_secs(2);
/// The nicest that there is.
const NICEST: i32 = 19;

/// Opens the connections. They stay until the pool is closed; one that breaks is replaced by one of the usual priority.
pub(super) async fn open(options: SqliteConnectOptions) -> Result<SqlitePool, DbErr> {
    let (sender, opened) = oneshot::channel();
    let opening = move || {
        // Without it all still works, in a hurry.
        if let Err(error) =
            getpriority_process(None).and_then(|nice| setpriority_process(None, (nice + NICER).min(NICEST)))
        {
            tracing::debug!(%error, "pages have the priority of everything else");
        }
        let _ = sender.send(open_here(options));
    };
    let thread = std::thread::Builder::new().name("unhurried".to_owned()).spawn(opening);
    thread.map_err(|error| DbErr::Custom(format!("no thread can be started: {error}")))?;
    opened.await.map_err(|_| DbErr::Custom("opening the database panicked".to_owned()))?
}

/// Opens the connections on this thread.
fn open_here(options: SqliteConnectOptions) -> Result<SqlitePool, DbErr> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| DbErr::Custom(format!("no runtime can be started: {error}")))?;
    runtime.block_on(async {
        let pool = pool(CONNECTIONS).connect_with(options).await.map_err(connection_error)?;
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            all.push(pool.acquire().await.map_err(connection_error)?);
        }
        drop(all);
        // A task of this runtime gives each back to the pool. One that is late is lost with the runtime, and replaced.
        let all_are_back = async {
            while pool.num_idle() < CONNECTIONS as usize {
                tokio::time::sleep(GIVING_BACK).await;
            }
        };
        let _ = tokio::time::timeout(LONGEST_GIVING_BACK, all_are_back).await;
        Ok(pool)
    })
}
