//! Deploy workspaces.

use admin_api::{AgentInfo, ListAgents, ListWorkspaces, ShowWorkspace, WorkspaceInfo};
use clap::Subcommand;
use serde::Serialize;

use super::agent;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{Column, Fields, Look, Output, Table, count};

/// `cachectl workspace …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the workspaces
    #[command(after_help = "Example:\n  cachectl workspace list")]
    List,
    /// Describe a workspace and its agents
    #[command(after_help = "Example:\n  cachectl workspace info production")]
    Info {
        /// The name of the workspace in the config
        #[arg(add = complete::workspaces())]
        name: String,
    },
}

/// A workspace with its agents, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct Whole {
    /// The workspace. In JSON its fields are at the same level as the agents.
    #[serde(flatten)]
    pub workspace: WorkspaceInfo,
    /// The agents of the workspace.
    pub members: Vec<AgentInfo>,
}

/// `cachectl workspace …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List => {
            let workspaces = client.call(&ListWorkspaces {}).await?;
            output.print(&workspaces, |look| table(&workspaces, look))
        }
        Command::Info { name } => {
            let workspace = client.call(&ShowWorkspace { workspace: name }).await?;
            let mut members = client.call(&ListAgents {}).await?;
            members.retain(|agent| agent.declared && agent.workspace == workspace.name);
            let whole = Whole { workspace, members };
            output.print(&whole, |look| render(&whole, look))
        }
    }
}

/// Renders a table of workspaces.
pub fn table(workspaces: &[WorkspaceInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("WORKSPACE"),
        Column::text("CACHE"),
        Column::number("AGENTS"),
        Column::number("ONLINE"),
        Column::number("DEPLOYING"),
    ])
    .or("No workspaces.");
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

/// Renders a workspace and its agents.
pub fn render(whole: &Whole, look: &Look) -> String {
    let mut fields = Fields::new();
    fields.add("Workspace", &whole.workspace.name).add("Cache", &whole.workspace.cache);
    format!("{}\n{}", fields.render(look), agent::table(&whole.members, look))
}
