//! Cachix Deploy: workspaces, agents, deployments and their logs. No HTTP here.
//!
//! | file | what |
//! |---|---|
//! | `fleet.rs` | workspaces and agents of the configuration |
//! | `activate.rs` | what is to be run where |
//! | `state.rs` | what may become of a deployment |
//! | `online.rs` | who is connected |
//! | `slots.rs` | how many sockets they may have open |
//! | `delivery.rs` | what is sent to an agent, and when |
//! | `report.rs` | what an agent says about a deployment |
//! | `operate.rs` | what operators ask for |
//! | `log.rs` | what deployments print: appending and following |
//!
//! Deployments and logs are rows of the catalog. What is in memory only saves looking, so a restart loses nothing, and
//! several daemons may share the work: each tells the others through the catalog's changes.

pub mod activate;
mod delivery;
mod fleet;
mod log;
mod online;
pub mod operate;
mod report;
mod slots;
pub mod state;
pub mod time;

use std::sync::Arc;
use std::time::Duration;

use catalog::{
    AgentId, Catalog, CatalogChange, CatalogError, DeploymentId, DeploymentRecord, DeploymentStatus, UnixTime,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::delivery::Delivery;
pub use self::fleet::{Agent, Fleet, Workspace};
pub use self::log::{LogProducer, LogView};
pub use self::online::{Hello, Online, Present};
pub use self::report::Report;
pub use self::slots::{Owner, Slots};

use self::log::Logs;
use self::state::Event;
use crate::cache::Caches;
use crate::config::Config;
use crate::counters::DEPLOYMENTS_ENDED;
use crate::counters::labels::DeploymentEnd;

/// How long the log of a deployment is kept after its end.
const LOGS_KEPT_SECONDS: i64 = 90 * 24 * 3600;
/// Pause before something is tried again that the catalog refused.
const RETRY: Duration = Duration::from_millis(500);

/// Everything about deployments while the daemon runs.
pub struct Deploy {
    catalog: Catalog,
    fleet: watch::Sender<Arc<Fleet>>,
    online: Arc<Online>,
    logs: Arc<Logs>,
    slots: Arc<Slots>,
    sockets: TaskTracker,
    closing: CancellationToken,
}

impl Deploy {
    /// Makes the catalog agree with the configuration.
    pub async fn open(catalog: Catalog, config: &Config, caches: &Caches) -> Result<Self, CatalogError> {
        let fleet = Fleet::reconcile(&catalog, config, caches).await?;
        Ok(Self {
            catalog,
            fleet: watch::Sender::new(Arc::new(fleet)),
            online: Arc::default(),
            logs: Arc::default(),
            slots: Arc::new(Slots::new(config.server.max_connections as usize)),
            sockets: TaskTracker::new(),
            closing: CancellationToken::new(),
        })
    }

    /// Makes the catalog and what is in force agree with another configuration. Agents that it does not name any more are
    /// cut off.
    pub async fn reconcile(&self, config: &Config, caches: &Caches) -> Result<(), CatalogError> {
        let fleet = Fleet::reconcile(&self.catalog, config, caches).await?;
        self.fleet.send_replace(Arc::new(fleet));
        Ok(())
    }

    /// The workspaces and agents of the configuration.
    pub fn fleet(&self) -> Arc<Fleet> {
        self.fleet.borrow().clone()
    }

    /// Changes whenever the configuration names other workspaces or agents.
    pub fn watch_fleet(&self) -> watch::Receiver<Arc<Fleet>> {
        self.fleet.subscribe()
    }

    /// Who is connected.
    pub fn online(&self) -> &Arc<Online> {
        &self.online
    }

    /// One for each socket that may be open.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// The tasks that serve sockets.
    pub fn sockets(&self) -> &TaskTracker {
        &self.sockets
    }

    /// Cancelled when the daemon stops.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Has all sockets closed, and waits until they are and what was heard on them is recorded.
    pub async fn close(&self) {
        self.closing.cancel();
        self.sockets.close();
        self.sockets.wait().await;
    }

    /// A deployment, if it belongs to an agent of this workspace.
    pub async fn find_in(
        &self,
        workspace: &Workspace,
        id: DeploymentId,
    ) -> Result<Option<(Arc<Agent>, DeploymentRecord)>, CatalogError> {
        let Some(record) = self.catalog.find_deployment(id).await? else { return Ok(None) };
        let agent = self.fleet().agent_by_id(record.agent).cloned();
        Ok(agent.filter(|agent| agent.workspace.id == workspace.id).map(|agent| (agent, record)))
    }

    /// Calls a deployment off. Returns it as it is then, and whether that changed anything: what has ended stays as it is.
    pub async fn cancel(&self, id: DeploymentId) -> Result<Option<(DeploymentRecord, bool)>, CatalogError> {
        let now = UnixTime::now();
        let outcome = self.apply_event(id, None, Event::Cancelled { at: now }).await?;
        if let Some((_, true)) = &outcome {
            self.close_log(id, "it was cancelled.").await?;
        }
        Ok(outcome)
    }

    /// Ends deployments that have begun and do not end within `timeout`, and those that do not begin within
    /// `pending_timeout`. Returns how many that were.
    pub async fn expire(&self, timeout: Duration, pending_timeout: Duration) -> Result<usize, CatalogError> {
        let now = UnixTime::now();
        let age = |since: UnixTime| Duration::from_secs(u64::try_from(now.0 - since.0).unwrap_or(0));
        let mut expired = 0;
        for record in self.catalog.open_deployments().await? {
            let (since, limit, what) = match record.begun_at {
                Some(begun) => (begun, timeout, "its end"),
                None => (record.created_at, pending_timeout, "its beginning"),
            };
            if age(since) < limit {
                continue;
            }
            if let Some((record, true)) =
                self.apply_event(record.id, None, Event::TimedOut { at: now }).await?
            {
                tracing::warn!(deployment = %record.id.0, status = record.status.as_str(), "a deployment took too long");
                let limit = humantime::format_duration(limit);
                self.close_log(record.id, &format!("the server heard nothing of {what} within {limit}."))
                    .await?;
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// Removes logs that are too old.
    pub async fn forget_old_logs(&self) -> Result<(), CatalogError> {
        let before = UnixTime(UnixTime::now().0 - LOGS_KEPT_SECONDS);
        while self.catalog.forget_logs(before).await? > 0 {}
        Ok(())
    }

    /// Takes note of what another daemon changed.
    pub fn on_catalog_change(&self, change: &CatalogChange) {
        match change {
            CatalogChange::Deployments { agent } => self.online.wake(*agent),
            CatalogChange::Resync => self.online.wake_all(),
            _ => {}
        }
    }

    /// Lets an event happen to a deployment, if it is one of `owner` or nobody is asked for. Wakes whoever waits for that.
    async fn apply_event(
        &self,
        id: DeploymentId,
        owner: Option<AgentId>,
        event: Event,
    ) -> Result<Option<(DeploymentRecord, bool)>, CatalogError> {
        let outcome = self
            .catalog
            .change_deployment(id, move |record| {
                if owner.is_some_and(|owner| owner != record.agent) {
                    return None;
                }
                state::apply(record, &event)
            })
            .await?;
        if let Some((record, true)) = &outcome {
            count_end(record.status);
            self.online.wake(record.agent);
            self.logs.changed(id);
        }
        Ok(outcome)
    }
}

/// Counts a deployment that has just got this status, if that is its end.
fn count_end(status: DeploymentStatus) {
    match status {
        DeploymentStatus::Pending | DeploymentStatus::InProgress => {}
        DeploymentStatus::Succeeded => DEPLOYMENTS_ENDED.count(DeploymentEnd::Succeeded),
        DeploymentStatus::Failed => DEPLOYMENTS_ENDED.count(DeploymentEnd::Failed),
        DeploymentStatus::Cancelled => DEPLOYMENTS_ENDED.count(DeploymentEnd::Cancelled),
    }
}
