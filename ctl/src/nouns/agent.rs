//! Deploy agents.

use std::time::Duration;

use admin_api::{AgentInfo, CreateToken, DeploymentInfo, ListAgents, Permission, ShowAgent};
use clap::{Args, Subcommand};

use super::{deploy, token};
use crate::cli::value;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{Cell, Column, Fields, Look, Output, Table, Tone, age, relative};

/// `cachectl agent …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the agents and what they run
    #[command(after_help = "Example:\n  cachectl agent list")]
    List,
    /// Describe an agent
    #[command(after_help = "Example:\n  cachectl agent info webserver")]
    Info {
        /// The name of the agent in the config
        #[arg(add = complete::agents())]
        name: String,
    },
    /// Create a token for an agent, and print it
    ///
    /// With the token a client can act as that agent and read the cache of its workspace. It is shown only once. Tokens
    /// that were created before stay valid until they are revoked.
    #[command(after_help = "Examples:\n  \
        cachectl agent token webserver\n  \
        cachectl agent token webserver --expires 1y")]
    Token(NewToken),
}

/// `cachectl agent token`
#[derive(Debug, Args)]
pub struct NewToken {
    /// The name of the agent in the config
    #[arg(add = complete::agents())]
    pub name: String,
    /// The lifetime of the token, such as 12h, 90d or 1y [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub expires: Option<Duration>,
    /// The person or thing that the token is for, as lists and logs show it
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
}

/// `cachectl agent …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List => {
            let agents = client.call(&ListAgents {}).await?;
            output.print(&agents, |look| table(&agents, look))
        }
        Command::Info { name } => {
            let agent = client.call(&ShowAgent { agent: name }).await?;
            output.print(&agent, |look| render(&agent, look))
        }
        Command::Token(arguments) => {
            let request = CreateToken {
                subject: arguments.subject,
                caches: Vec::new(),
                all: false,
                workspace: None,
                agent: Some(arguments.name),
                permission: Permission::Agent,
                expires_seconds: arguments.expires.map(|expires| expires.as_secs()),
                daily_limit: None,
            };
            token::create(&request, client, output).await
        }
    }
}

/// Renders a table of agents.
pub fn table(agents: &[AgentInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("AGENT"),
        Column::text("WORKSPACE"),
        Column::text("STATE"),
        Column::text("SYSTEM"),
        Column::text("VERSION"),
        Column::prose("DEPLOYMENT"),
    ])
    .or("No agents.");
    for agent in agents {
        table.add([
            agent.name.as_str().into(),
            agent.workspace.as_str().into(),
            state(agent, look.now),
            agent.system.as_deref().into(),
            agent.version.as_deref().into(),
            current(agent).into(),
        ]);
    }
    table.render(look)
}

/// The newest deployment, and the last that succeeded if that is another. After a failure the machine may run either.
fn current(agent: &AgentInfo) -> String {
    let Some(newest) = &agent.newest else { return String::new() };
    let text = format!("#{} {}", newest.number, deploy::word(newest.status));
    match &agent.running {
        Some(last) if last.number != newest.number => format!("{text}, last success #{}", last.number),
        _ => text,
    }
}

fn state(agent: &AgentInfo, now: i64) -> Cell {
    match (agent.declared, agent.online_since, agent.last_seen_at) {
        (false, ..) => Cell::new("not in config", Tone::Odd),
        (true, Some(since), _) => Cell::new(format!("online {}", age(now.abs_diff(since))), Tone::Good),
        (true, None, Some(seen)) => Cell::new(format!("seen {}", relative(now, seen)), Tone::Odd),
        (true, None, None) => Cell::new("never seen", Tone::Odd),
    }
}

/// Renders all about an agent.
pub fn render(agent: &AgentInfo, look: &Look) -> String {
    let mut fields = Fields::new();
    let workspace = match agent.declared {
        true => agent.workspace.clone(),
        false => format!("{} (the agent is not in the config)", agent.workspace),
    };
    fields.add("Agent", &agent.name).add("ID", &agent.id).add("Workspace", workspace);
    let seen = match (agent.online_since, agent.last_seen_at) {
        (Some(since), _) => format!("online, connected {}", relative(look.now, since)),
        (None, Some(seen)) => format!("offline, seen {}", relative(look.now, seen)),
        (None, None) => "never seen".to_owned(),
    };
    fields.add("State", seen);
    let values = [("System", &agent.system), ("Version", &agent.version)];
    for (name, value) in values {
        if let Some(value) = value {
            fields.add(name, value);
        }
    }
    let deployment = |deployment: &DeploymentInfo| {
        let (name, status) = (deploy::name(deployment), deploy::word(deployment.status));
        format!("{name} ({status}): {}", deployment.store_path)
    };
    if let Some(last) = &agent.running {
        fields.add("Last success", deployment(last));
    }
    if let Some(newest) = agent.newest.as_ref().filter(|newest| Some(*newest) != agent.running.as_ref()) {
        fields.add("Newest", deployment(newest));
    }
    fields.render(look)
}
