//! The metrics: what each is called and means, where its values come from, and the text that Prometheus reads.
//!
//! | file | what |
//! |---|---|
//! | `metric.rs` | a metric: name, kind, labels, meaning |
//! | `all.rs` | every metric, once; `docs/src/reference/metrics.md` follows from it |
//! | `samples.rs` | values at one moment |
//! | `requests.rs`, `caches.rs`, `storages.rs`, `work.rs`, `network.rs`, `process.rs` | the values of one subject each |
//! | `figures.rs` | values that take queries of the catalog, remembered for a while |
//! | `text.rs` | the formats of Prometheus |
//!
//! A scrape lists no storage and asks nobody else. What has to be counted in the catalog is counted at most every 15 seconds, and
//! less often if it takes long.

mod all;
mod caches;
mod figures;
mod metric;
mod network;
mod process;
mod reference;
mod requests;
mod samples;
mod storages;
mod text;
mod work;

use std::sync::Arc;

pub use self::figures::Figures;
pub use self::process::note_start;
pub use self::reference::markdown;
pub use self::requests::RouteName;
use self::samples::Samples;
pub use self::text::Format;
use super::health;
use crate::core::Core;
use crate::listeners::Listeners;
use crate::workers::Workers;

/// What the metrics are about.
pub struct Subjects<'a> {
    /// Catalog, caches, federation.
    pub core: &'a Arc<Core>,
    /// The workers.
    pub workers: &'a Workers,
    /// The listeners.
    pub listeners: &'a Listeners,
    /// The routes, by their numbers.
    pub routes: &'a [RouteName],
    /// What was counted in the catalog.
    pub figures: &'a Figures,
}

/// Returns all metrics as text.
pub async fn scrape(subjects: &Subjects<'_>, format: Format) -> String {
    let Subjects { core, workers, listeners, routes, figures } = *subjects;
    let mut samples = Samples::default();
    requests::collect(core, listeners, routes, &mut samples);
    caches::collect(core, &mut samples);
    storages::collect(core, &mut samples);
    work::collect(core, workers, &mut samples);
    network::collect(core, &mut samples).await;
    process::collect(&mut samples);
    figures.collect(core, &mut samples).await;
    let readiness = health::examine(core, listeners);
    samples.number(&all::READY, &[], if readiness.is_unavailable() { 0.0 } else { 1.0 });
    text::write(samples, format)
}
