//! Deploy: workspaces and agents, what the agents are told to run, and what they say about it.

mod deployments;
mod fleet;
mod holds;
mod logs;

pub use deployments::{AddedDeployments, DeploymentRecord, DeploymentStatus, NewDeployment};
pub use fleet::{AgentRecord, DeclaredAgent, DeclaredWorkspace, Fleet};
pub use logs::{LogAppend, LogLine, NumberedLine};

pub(crate) use holds::held_by_agents;
