//! What handlers need.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use catalog::UnixTime;

use super::cachix::PartUrlKey;
use super::forward::Forwarder;
use super::web::KeptFigures;
use crate::core::Core;
use crate::jobs::Jobs;
use crate::listeners::Listeners;
use crate::origin::Origin;
use crate::reload::Reloader;
use crate::workers::Workers;

/// What handlers need: the [`Core`], which it dereferences to, the parts that are built on it, and the parts of HTTP alone.
pub struct State {
    /// What every part of the daemon shares.
    pub core: Arc<Core>,
    /// Long jobs.
    pub jobs: Arc<Jobs>,
    /// Background work.
    pub workers: Arc<Workers>,
    /// Where the daemon listens.
    pub listeners: Arc<Listeners>,
    /// Reloads the configuration.
    pub reloader: Arc<Reloader>,
    /// Builds absolute URLs.
    pub origin: Origin,
    /// Signs part URLs.
    pub part_urls: Arc<ArcSwap<PartUrlKey>>,
    /// Passes requests on to the daemons that share the catalog.
    pub forwarder: Forwarder,
    /// Figures of caches that pages show.
    pub figures: KeptFigures,
    /// When the daemon started, on the wall clock.
    pub started_at: UnixTime,
    /// When the daemon started, for its uptime.
    pub started: Instant,
}

impl Deref for State {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
