use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Lines};

/// Lists deployments, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDeployments {
    /// List only deployments of this agent.
    pub agent: Option<String>,
    /// List at most this many.
    pub limit: Option<u64>,
}

impl Endpoint for ListDeployments {
    type Reply = Vec<DeploymentInfo>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/deployments";
}

/// Describes one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowDeployment {
    /// An id, `AGENT#NUMBER`, or `AGENT` for the newest deployment of that agent.
    pub deployment: String,
}

impl Endpoint for ShowDeployment {
    type Reply = DeploymentInfo;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/deployments/{deployment}";
}

/// Activates a store path on each of some agents, as `cachix deploy activate` does. The reply lists the new deployments
/// by agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// The workspace of the agents; `None` if there is only one.
    pub workspace: Option<String>,
    /// The store path to activate, by the name of the agent.
    pub agents: BTreeMap<String, String>,
    /// The scripts that decide whether an agent rolls back, by the Nix system of its machine.
    pub rollback_scripts: BTreeMap<String, String>,
    /// Whether paths may be activated that the cache does not hold.
    pub allow_missing: bool,
}

impl Endpoint for Activate {
    type Reply = Vec<DeploymentInfo>;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/deployments";
}

/// Activates on an agent what it ran before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The name of the agent.
    pub agent: String,
}

impl Endpoint for Rollback {
    type Reply = DeploymentInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/deployments/rollback";
}

/// Cancels a deployment that has not ended. The agent may already have started it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelDeployment {
    /// As in [`ShowDeployment`].
    pub deployment: String,
}

impl Endpoint for CancelDeployment {
    type Reply = DeploymentInfo;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/deployments/{deployment}/cancel";
}

/// Reads the log of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLog {
    /// As in [`ShowDeployment`].
    pub deployment: String,
    /// Whether to continue until the deployment ends; `None` is the same as `false`.
    pub follow: Option<bool>,
}

impl Endpoint for ReadLog {
    type Reply = Lines<LogEvent>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/deployments/{deployment}/log";
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentInfo {
    /// The id, which is unique among all agents.
    pub id: String,
    /// The name of the agent.
    pub agent: String,
    /// The number of the deployment among those of its agent, from 1.
    pub number: u64,
    /// The store path that the agent activates.
    pub store_path: String,
    /// The scripts that decide whether the agent rolls back, by Nix system.
    pub rollback_scripts: BTreeMap<String, String>,
    /// How far the deployment has come.
    pub status: DeploymentStatus,
    /// When the deployment was activated.
    pub created_at: i64,
    /// When the deployment was last sent to its agent.
    pub delivered_at: Option<i64>,
    /// When the agent started it, by the agent's clock.
    pub started_at: Option<i64>,
    /// When the deployment ended, by the agent's clock if the agent reported the end.
    pub finished_at: Option<i64>,
    /// The bytes of the closure of the store path, if the agent reported them.
    pub closure_bytes: Option<u64>,
    /// The number of lines in the log.
    pub log_lines: u64,
    /// Whether lines are missing from the log.
    pub log_truncated: bool,
}

/// How far a deployment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentStatus {
    /// The agent has not started it.
    Pending,
    /// The agent has started it.
    InProgress,
    /// An operator cancelled it, a newer deployment replaced it, or its agent did not start it in time.
    Cancelled,
    /// The agent reported a failure, or did not report the end in time.
    Failed,
    /// The agent reported success.
    Succeeded,
}

/// An event of a deployment's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum LogEvent {
    /// A line of the log.
    Line {
        /// When the line was written, as the agent reported it.
        time: String,
        /// The text of the line.
        line: String,
    },
    /// Nothing new. The stream is never silent for longer than [`EVENTS_INTERVAL`](crate::EVENTS_INTERVAL).
    Waiting,
    /// The last event.
    End {
        /// The deployment at that time.
        deployment: DeploymentInfo,
    },
}
