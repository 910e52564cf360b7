//! Deployments. The view is in `view`.

mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use admin_api::{Activate, CancelDeployment, ListDeployments, ReadLog, Rollback, ShowDeployment};
use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::cli::value;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::print_log;
use crate::output::Output;
pub use view::{activated, cancelled, name, render, table, word};

/// `cachectl deploy …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List deployments, the newest first
    #[command(after_help = "Examples:\n  \
        cachectl deploy list\n  \
        cachectl deploy list --agent webserver --limit 5")]
    List {
        /// List only deployments of this agent
        #[arg(long, value_name = "NAME", add = complete::agents())]
        agent: Option<String>,
        /// The most deployments to list
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = value::positive)]
        limit: u32,
    },
    /// Describe a deployment
    #[command(after_help = "Examples:\n  \
        cachectl deploy show webserver\n  \
        cachectl deploy show webserver#7")]
    Show {
        /// AGENT for its newest deployment, AGENT#NUMBER, or an id
        #[arg(add = complete::deployments())]
        deployment: String,
    },
    /// Print the log of a deployment
    ///
    /// With --follow, continues until the deployment ends, and exits with 8 if it failed or was cancelled.
    #[command(after_help = "Examples:\n  \
        cachectl deploy logs webserver#7\n  \
        cachectl deploy logs webserver --follow")]
    Logs {
        /// AGENT for its newest deployment, AGENT#NUMBER, or an id
        #[arg(add = complete::deployments())]
        deployment: String,
        /// Continue until the deployment ends
        #[arg(long)]
        follow: bool,
    },
    /// Cancel a deployment
    ///
    /// An agent that has already started it is not interrupted, but its reports about this deployment are ignored.
    #[command(after_help = "Example:\n  cachectl deploy cancel webserver")]
    Cancel {
        /// AGENT for its newest deployment, AGENT#NUMBER, or an id
        #[arg(add = complete::deployments())]
        deployment: String,
    },
    /// Activate store paths on agents, as `cachix deploy activate` does
    ///
    /// Activates all agents of the file or none. Refused if the cache of the workspace lacks a path, or if an agent is not
    /// in the workspace.
    #[command(after_help = "Examples:\n  \
        cachectl deploy activate deploy.json\n  \
        cachectl deploy activate deploy.json --workspace production --agent webserver")]
    Activate(Activation),
    /// Activate on an agent what it ran before
    #[command(after_help = "Example:\n  cachectl deploy rollback webserver")]
    Rollback {
        /// The agent
        #[arg(add = complete::agents())]
        agent: String,
    },
}

/// `cachectl deploy activate`
#[derive(Debug, Args)]
pub struct Activation {
    /// The file, in JSON
    ///
    ///   {"agents": {"NAME": "/nix/store/…"},
    ///    "rollbackScript": {"SYSTEM": "/nix/store/…"}}
    ///
    /// The second field is optional.
    #[arg(value_name = "FILE", verbatim_doc_comment)]
    pub specification: PathBuf,
    /// The workspace of the agents [default: the only workspace]
    #[arg(long, value_name = "NAME", add = complete::workspaces())]
    pub workspace: Option<String>,
    /// Activate only this agent of the file; may be repeated
    #[arg(long = "agent", value_name = "NAME", value_delimiter = ',', add = complete::agents())]
    pub agents: Vec<String>,
    /// Also activate paths that the cache does not hold
    #[arg(long)]
    pub allow_missing: bool,
}

/// `cachectl deploy …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List { agent, limit } => {
            let deployments = client.call(&ListDeployments { agent, limit: Some(limit.into()) }).await?;
            output.print(&deployments, |look| table(&deployments, look))
        }
        Command::Show { deployment } => {
            let deployment = client.call(&ShowDeployment { deployment }).await?;
            output.print(&deployment, |look| render(&deployment, look))
        }
        Command::Logs { deployment, follow } => {
            print_log(&ReadLog { deployment, follow: follow.then_some(true) }, client, output).await
        }
        Command::Cancel { deployment } => {
            let deployment = client.call(&CancelDeployment { deployment }).await?;
            output.print(&deployment, |_| cancelled(&deployment))
        }
        Command::Activate(arguments) => {
            let deployments = client.call(&read(arguments)?).await?;
            output.print(&deployments, |_| activated(&deployments))
        }
        Command::Rollback { agent } => {
            let deployment = client.call(&Rollback { agent }).await?;
            output.print(&deployment, |_| activated(std::slice::from_ref(&deployment)))
        }
    }
}

/// The file that `cachix deploy activate` reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Specification {
    agents: BTreeMap<String, String>,
    #[serde(default)]
    rollback_script: Option<BTreeMap<String, String>>,
}

fn read(arguments: Activation) -> Result<Activate, Error> {
    let specification = parse(&arguments.specification)?;
    let mut agents = specification.agents;
    if let Some(absent) = arguments.agents.iter().find(|name| !agents.contains_key(*name)) {
        let reason = format!("it does not name the agent `{absent}`");
        return Err(Error::Specification { file: arguments.specification, reason });
    }
    if !arguments.agents.is_empty() {
        agents.retain(|name, _| arguments.agents.contains(name));
    }
    Ok(Activate {
        workspace: arguments.workspace,
        agents,
        rollback_scripts: specification.rollback_script.unwrap_or_default(),
        allow_missing: arguments.allow_missing,
    })
}

fn parse(file: &Path) -> Result<Specification, Error> {
    let faulty = |reason: String| Error::Specification { file: file.to_owned(), reason };
    let text = std::fs::read_to_string(file).map_err(|error| faulty(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| faulty(error.to_string()))
}
