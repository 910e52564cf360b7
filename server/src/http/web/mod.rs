//! Pages for people: the caches and what they hold, deployments with their logs, and the state of the server.
//!
//! Pages only read. Links between them are relative, so they are right on every host name, on the own port of a cache, and below a
//! prefix that a proxy takes out of the path. HTML is made of functions that escape every text (`maud`); texts of strangers go through
//! [`text::visible`] besides.
//!
//! | file | what |
//! |---|---|
//! | `visit.rs`, `viewer.rs` | who looks at what, and what they may see |
//! | `session.rs` | logging in and out |
//! | `layout.rs`, `parts.rs`, `text.rs` | what all pages are made of |
//! | `assets.rs`, `assets/` | style, script and icon |
//! | `home.rs`, `setup.rs` | the first page, and how to use a cache |
//! | `cache/` | the pages of a cache: overview, paths, pins |
//! | `path/` | the pages of a store path: overview, files, log, references |
//! | `fleet/` | workspaces, agents, deployments, live logs |
//! | `operate/` | the pages of operators |

pub mod assets;
pub mod cache;
pub mod fleet;
pub mod home;
mod layout;
pub mod operate;
mod parts;
pub mod path;
pub mod session;
mod setup;
mod text;
mod viewer;
mod visit;

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::cache::figures::KeptFigures;
pub use self::visit::{Surroundings, Visit};
use super::error::HttpError;
use crate::limits::slots::{Slot, Slots};

/// Pages that are made at a time. They read the catalog, which has few readers, and nobody waits long for a page.
static MAKING: Semaphore = Semaphore::const_new(2);
/// How long a page may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages that one client may wait for at a time.
static OF_CLIENT: Slots = Slots::new(16);

/// The turn to make a page.
pub struct Turn {
    _permit: SemaphorePermit<'static>,
    _slot: Slot,
}

/// Waits for the turn to make a page.
///
/// # Errors
///
/// 503 if there is none soon.
pub async fn turn(client: Option<IpAddr>) -> Result<Turn, HttpError> {
    let busy = || {
        let message = "The server is busy with other pages. Try again in a moment.";
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    };
    let slot = OF_CLIENT.take(client).ok_or_else(busy)?;
    match tokio::time::timeout(PATIENCE, MAKING.acquire()).await {
        Ok(Ok(permit)) => Ok(Turn { _permit: permit, _slot: slot }),
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}
