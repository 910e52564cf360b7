//! What operators ask for, who may do everything.

use std::sync::Arc;

use catalog::{AgentId, CatalogError, DeploymentRecord, DeploymentStatus};

use super::activate::{ActivateError, Source, Specification};
use super::{Agent, Deploy};

/// How many deployments are searched for another path.
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
    /// Has an agent run what it ran before what it tried last: after a failed deployment what ran before that, after a
    /// successful one what that took the place of.
    pub async fn rollback(
        &self,
        agent: &Arc<Agent>,
        source: Option<Source<'_>>,
    ) -> Result<DeploymentRecord, RollbackError> {
        let nothing = || RollbackError::NothingBefore(agent.name.clone());
        let target = self.rollback_target(agent.id).await?.ok_or_else(nothing)?;
        let specification = Specification {
            agents: [(agent.name.clone(), target.store_path)].into(),
            rollback_script: Some(target.rollback_scripts),
        };
        let done = self.activate(&agent.workspace, source, specification, false).await?;
        done.into_iter().next().map(|(_, record)| record).ok_or_else(nothing)
    }

    async fn rollback_target(&self, agent: AgentId) -> Result<Option<DeploymentRecord>, CatalogError> {
        let newest_first = self.catalog.list_deployments(Some(agent), None, SEARCHED).await?;
        let begun = newest_first.iter().position(|one| one.started_at.is_some());
        let Some(tried) = begun.map(|at| newest_first[at].store_path.clone()) else { return Ok(None) };
        let goes_back =
            |one: &DeploymentRecord| one.status == DeploymentStatus::Succeeded && one.store_path != tried;
        Ok(newest_first.into_iter().find(goes_back))
    }
}
