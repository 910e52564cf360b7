use http::Method;
use serde::{Deserialize, Serialize};

use crate::{DeploymentInfo, Endpoint, Since};

/// Lists the deploy agents by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAgents {}

impl Endpoint for ListAgents {
    type Reply = Vec<AgentInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/agents";
    const SINCE: Since = Since::Workers;
}

/// Describes one deploy agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowAgent {
    /// The name of the agent.
    pub agent: String,
}

impl Endpoint for ShowAgent {
    type Reply = AgentInfo;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/agents/{agent}";
}

/// A deploy agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The id that the daemon reports to the agent. It never changes.
    pub id: String,
    /// The name of the agent.
    pub name: String,
    /// The workspace that the agent belongs to.
    pub workspace: String,
    /// Whether the config names the agent.
    pub declared: bool,
    /// When the agent connected; `None` while it is offline.
    pub online_since: Option<i64>,
    /// When the agent last connected or disconnected; `None` if it never did.
    pub last_seen_at: Option<i64>,
    /// The version of the agent's client.
    pub version: Option<String>,
    /// The Nix system of the agent's machine.
    pub system: Option<String>,
    /// What the agent runs, as far as is known: the newest deployment that succeeded.
    pub running: Option<DeploymentInfo>,
    /// The newest deployment of the agent, in any state.
    pub newest: Option<DeploymentInfo>,
}
