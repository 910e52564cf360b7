use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A deploy agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The id that its client is told; the same for ever.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// Whether the config names it.
    pub declared: bool,
    /// Since when it is connected, in Unix seconds; `None` while it is offline.
    pub online_since: Option<i64>,
    /// When it was last seen to connect or disconnect, in Unix seconds; `None` if it never connected.
    pub last_seen_at: Option<i64>,
    /// The version of its client.
    pub version: Option<String>,
    /// The Nix system of its machine.
    pub system: Option<String>,
    /// What it runs, as far as is known: the newest deployment that succeeded.
    pub running: Option<DeploymentInfo>,
    /// Its newest deployment, whatever became of that.
    pub newest: Option<DeploymentInfo>,
}

/// A deploy workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceInfo {
    /// Its name.
    pub name: String,
    /// The cache that its agents fetch from.
    pub cache: String,
    /// How many agents belong to it.
    pub agents: u64,
    /// How many of them are connected.
    pub online: u64,
    /// How many of them have a deployment that waits or runs.
    pub deploying: u64,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentInfo {
    /// Its id.
    pub id: String,
    /// The agent.
    pub agent: String,
    /// Its number among those of the agent, from 1.
    pub number: u64,
    /// What the agent is to run.
    pub store_path: String,
    /// The scripts that judge it, by Nix system.
    pub rollback_scripts: BTreeMap<String, String>,
    /// How far it has come.
    pub status: DeploymentStatus,
    /// When it was activated, in Unix seconds.
    pub created_at: i64,
    /// When it was last sent to the agent, in Unix seconds.
    pub delivered_at: Option<i64>,
    /// When it began, in Unix seconds, by the clock of the agent.
    pub started_at: Option<i64>,
    /// When it ended, in Unix seconds, by the clock of the agent where that said so.
    pub finished_at: Option<i64>,
    /// Bytes of what is to run with all it refers to, if the agent said so.
    pub closure_bytes: Option<u64>,
    /// Lines of its log.
    pub log_lines: u64,
    /// Whether the log lacks lines.
    pub log_truncated: bool,
}

/// How far a deployment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeploymentStatus {
    /// Its agent has not begun.
    Pending,
    /// Its agent has begun.
    InProgress,
    /// It was called off.
    Cancelled,
    /// Its agent could not do it, or was not heard of in time.
    Failed,
    /// Its agent has done it.
    Succeeded,
}

/// Which deployments to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDeployments {
    /// Only those of this agent.
    pub agent: Option<String>,
    /// At most so many; the newest.
    pub limit: Option<u64>,
}

/// Has agents run something: what `cachix deploy activate` sends, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// The workspace of the agents; `None` if there is only one.
    pub workspace: Option<String>,
    /// Store paths by the name of the agent.
    pub agents: BTreeMap<String, String>,
    /// Scripts that judge the new state of a machine, by its Nix system.
    pub rollback_scripts: BTreeMap<String, String>,
    /// Whether paths may be activated that the cache does not hold.
    pub allow_missing: bool,
}

/// Has an agent run again what it ran before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// The agent.
    pub agent: String,
}

/// How to read the log of a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowLog {
    /// Whether to go on until the deployment has ended.
    pub follow: Option<bool>,
}

/// A line about the log of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum LogEvent {
    /// A line of the log.
    Line {
        /// When it was written, as the agent says.
        time: String,
        /// The line.
        line: String,
    },
    /// There is nothing new. Comes at least every [`EVENTS_INTERVAL`](crate::EVENTS_INTERVAL).
    Waiting,
    /// The last event: that was all.
    End {
        /// The deployment as it is then.
        deployment: DeploymentInfo,
    },
}
