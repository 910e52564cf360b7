//! Deploy: workspaces, agents, deployments and their logs.

mod deployments;
mod fleet;
mod holds;
mod logs;

pub use deployments::{AddedDeployments, DeploymentRecord, DeploymentStatus, NewDeployment};
pub use fleet::{AgentRecord, DeclaredAgent, DeclaredWorkspace, Fleet};
pub use logs::{LogAppend, LogLine, NumberedLine};

pub(crate) use holds::held_by_agents;
