//! What an agent says about a deployment.

use catalog::{DeploymentId, UnixTime};

use super::state::Event;
use super::{Agent, Deploy, RETRY};

use crate::chain::chain;

/// One message of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It has begun, or knows by now how large the closure is.
    Started {
        /// The deployment.
        id: DeploymentId,
        /// When, by the clock of the agent.
        at: UnixTime,
        /// Bytes of the closure.
        closure_size: Option<u64>,
    },
    /// It has ended.
    Finished {
        /// The deployment.
        id: DeploymentId,
        /// When, by the clock of the agent.
        at: UnixTime,
        /// Whether the agent runs it now.
        succeeded: bool,
    },
}

impl Deploy {
    /// Records what an agent says. What it says of deployments that are not its own is ignored. Returns once that is
    /// durable: the agent does not repeat it, so a catalog that is away is waited for, up to the end of the daemon.
    pub async fn report(&self, agent: &Agent, report: Report) {
        let heard_at = UnixTime::now();
        let (id, event) = match report {
            Report::Started { id, at, closure_size } => (id, Event::Started { at, heard_at, closure_size }),
            Report::Finished { id, at, succeeded } => (id, Event::Finished { at, succeeded }),
        };
        loop {
            match self.apply_event(id, Some(agent.id), event.clone()).await {
                Ok(Some((record, true))) => {
                    tracing::info!(agent = agent.name, deployment = %id.0, number = record.number,
                        status = record.status.as_str(), "a deployment goes on");
                }
                Ok(Some((record, false))) if record.agent == agent.id => {
                    tracing::debug!(agent = agent.name, deployment = %id.0, ?event, "nothing new");
                }
                Ok(_) => {
                    tracing::warn!(agent = agent.name, deployment = %id.0,
                        "an agent spoke of a deployment that is not its own");
                }
                Err(error) => {
                    tracing::error!(agent = agent.name, deployment = %id.0, error = %chain(&error),
                        "could not record what an agent said; trying again");
                    if self.closing.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_some() {
                        continue;
                    }
                }
            }
            return;
        }
    }
}
