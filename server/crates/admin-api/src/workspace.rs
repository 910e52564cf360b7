use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Lists the deploy workspaces by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListWorkspaces {}

impl Endpoint for ListWorkspaces {
    type Reply = Vec<WorkspaceInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/workspaces";
    const SINCE: Since = Since::Workers;
}

/// Describes one deploy workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowWorkspace {
    /// The name of the workspace.
    pub workspace: String,
}

impl Endpoint for ShowWorkspace {
    type Reply = WorkspaceInfo;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/workspaces/{workspace}";
}

/// A deploy workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceInfo {
    /// The name of the workspace.
    pub name: String,
    /// The cache that its agents fetch from.
    pub cache: String,
    /// The number of its agents.
    pub agents: u64,
    /// The number of its agents that are connected.
    pub online: u64,
    /// The number of its agents that have a pending or running deployment.
    pub deploying: u64,
}
