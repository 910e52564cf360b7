use admin_api::{AgentInfo, WorkspaceInfo};
use serde::Serialize;

use super::agent;
use crate::args::Workspace;
use crate::client::Client;
use crate::error::Error;
use crate::output::{Column, Fields, Look, Output, Table, count};

/// A workspace with its agents, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct Whole {
    /// The workspace.
    #[serde(flatten)]
    pub workspace: WorkspaceInfo,
    /// Its agents.
    pub members: Vec<AgentInfo>,
}

/// `cachectl workspace …`
pub async fn run(command: Workspace, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Workspace::List => {
            let workspaces = client.workspaces().await?;
            output.print(&workspaces, |look| table(&workspaces, look))
        }
        Workspace::Info { name } => {
            let workspace = client.workspace(&name).await?;
            let mut members = client.agents().await?;
            members.retain(|agent| agent.declared && agent.workspace == workspace.name);
            let whole = Whole { workspace, members };
            output.print(&whole, |look| render(&whole, look))
        }
    }
}

/// A table of workspaces.
pub fn table(workspaces: &[WorkspaceInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("WORKSPACE"),
        Column::text("CACHE"),
        Column::number("AGENTS"),
        Column::number("ONLINE"),
        Column::number("DEPLOYING"),
    ]);
    for workspace in workspaces {
        table.add([
            workspace.name.as_str().into(),
            workspace.cache.as_str().into(),
            count(workspace.agents).into(),
            count(workspace.online).into(),
            count(workspace.deploying).into(),
        ]);
    }
    table.render(look)
}

/// A workspace and its agents.
pub fn render(whole: &Whole, look: &Look) -> String {
    let mut fields = Fields::new();
    fields.add("workspace", &whole.workspace.name).add("cache", &whole.workspace.cache);
    format!("{}\n{}", fields.render(look), agent::table(&whole.members, look))
}
