//! Entries of `workspaces` and `agents`.

use super::field::{One, ReadByDecoder};
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::types::{CACHE_NAME, NAME};
use crate::config::{AgentConfig, WorkspaceConfig};

/// An entry of `workspaces`.
pub const WORKSPACE: Table<WorkspaceConfig> = Table {
    title: "an entry of `workspaces`",
    path: "workspaces[]",
    topics: &[Topic {
        title: "Workspace",
        keys: &[
            Key::new("name", &One(lens!(WorkspaceConfig, name), NAME))
                .required()
                .applied_on_reload()
                .summary("Name of the workspace")
                .example("production"),
            // The name is one of `caches`, which the decoder knows.
            Key::new("cache", &ReadByDecoder(One(lens!(WorkspaceConfig, cache), CACHE_NAME)))
                .required()
                .applied_on_reload()
                .summary("The cache that the agents of the workspace fetch from")
                .example("main"),
        ],
    }],
};

/// An entry of `agents`.
pub const AGENT: Table<AgentConfig> = Table {
    title: "an entry of `agents`",
    path: "agents[]",
    topics: &[Topic {
        title: "Agent",
        keys: &[
            Key::new("name", &One(lens!(AgentConfig, name), NAME))
                .required()
                .applied_on_reload()
                .summary("Name of the agent, as deploy specifications use it")
                .example("webserver"),
            Key::new("workspace", &One(lens!(AgentConfig, workspace), NAME))
                .required()
                .applied_on_reload()
                .summary("The workspace that the agent belongs to")
                .example("production"),
        ],
    }],
};
