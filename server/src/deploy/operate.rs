//! What operators ask for, who may do everything.

use std::sync::Arc;

use catalog::{AgentId, CatalogError, DeploymentRecord, DeploymentStatus};

use super::activate::{ActivateError, Specification};
use super::{Agent, Deploy};
use crate::cache::Cache;

/// How many successful deployments are searched for another path. One that was activated again and again is rarely
/// activated more often.
const SEARCHED: u64 = 1000;

/// Why an agent cannot go back. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// It has run nothing else.
    #[error("agent `{0}` has run nothing else that it could go back to")]
    NothingBefore(String),
    /// The deployment of the earlier path was refused.
    #[error(transparent)]
    Activate(#[from] ActivateError),
}

impl From<CatalogError> for RollbackError {
    fn from(error: CatalogError) -> Self {
        Self::Activate(error.into())
    }
}

impl Deploy {
    /// Has an agent run what it ran before what it was told last: after a failed deployment what ran before that, after a
    /// successful one what that took the place of.
    pub async fn rollback(
        &self,
        agent: &Arc<Agent>,
        cache: Option<&Cache>,
    ) -> Result<DeploymentRecord, RollbackError> {
        let nothing = || RollbackError::NothingBefore(agent.name.clone());
        let target = self.rollback_target(agent.id).await?.ok_or_else(nothing)?;
        let specification = Specification {
            agents: [(agent.name.clone(), target.store_path)].into(),
            rollback_script: Some(target.rollback_scripts),
        };
        let done = self.activate(&agent.workspace, cache, specification, false).await?;
        done.into_iter().next().map(|(_, record)| record).ok_or_else(nothing)
    }

    async fn rollback_target(&self, agent: AgentId) -> Result<Option<DeploymentRecord>, CatalogError> {
        let Some(newest) = self.catalog.list_deployments(Some(agent), None, 1).await?.into_iter().next()
        else {
            return Ok(None);
        };
        let succeeded =
            self.catalog.list_deployments(Some(agent), Some(DeploymentStatus::Succeeded), SEARCHED).await?;
        Ok(succeeded.into_iter().find(|earlier| earlier.store_path != newest.store_path))
    }
}
