use admin_api::{AgentInfo, CreateToken, DeploymentInfo, Permission};

use super::{deploy, token};
use crate::args::Agent;
use crate::client::Client;
use crate::error::Error;
use crate::output::{Cell, Column, Fields, Look, Output, Table, Tone, age, relative};

/// `cachectl agent …`
pub async fn run(command: Agent, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Agent::List => {
            let agents = client.agents().await?;
            output.print(&agents, |look| table(&agents, look))
        }
        Agent::Info { name } => {
            let agent = client.agent(&name).await?;
            output.print(&agent, |look| render(&agent, look))
        }
        Agent::Token(arguments) => {
            let wanted = CreateToken {
                subject: arguments.subject,
                caches: Vec::new(),
                all: false,
                workspace: None,
                agent: Some(arguments.name),
                permission: Permission::Agent,
                expires_seconds: arguments.expires.map(|expires| expires.as_secs()),
            };
            token::create(wanted, client, output).await
        }
    }
}

/// A table of agents.
pub fn table(agents: &[AgentInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("AGENT"),
        Column::text("WORKSPACE"),
        Column::text("STATE"),
        Column::text("SYSTEM"),
        Column::text("VERSION"),
        Column::prose("DEPLOYMENT"),
    ]);
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

/// The newest deployment, and what the agent runs if that is another one.
fn current(agent: &AgentInfo) -> String {
    let Some(newest) = &agent.newest else { return String::new() };
    let told = format!("#{} {}", newest.number, deploy::word(newest.status));
    match &agent.running {
        Some(running) if running.number != newest.number => format!("{told}, runs #{}", running.number),
        _ => told,
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

/// All about an agent.
pub fn render(agent: &AgentInfo, look: &Look) -> String {
    let mut fields = Fields::new();
    let workspace = match agent.declared {
        true => agent.workspace.clone(),
        false => format!("{} (the config does not name the agent)", agent.workspace),
    };
    fields.add("agent", &agent.name).add("id", &agent.id).add("workspace", workspace);
    let seen = match (agent.online_since, agent.last_seen_at) {
        (Some(since), _) => format!("online, connected {}", relative(look.now, since)),
        (None, Some(seen)) => format!("offline, seen {}", relative(look.now, seen)),
        (None, None) => "never seen".to_owned(),
    };
    fields.add("state", seen);
    let values = [("system", &agent.system), ("version", &agent.version)];
    for (name, value) in values {
        if let Some(value) = value {
            fields.add(name, value);
        }
    }
    let deployment = |deployment: &DeploymentInfo| {
        let (name, status) = (deploy::name(deployment), deploy::word(deployment.status));
        format!("{name} ({status}): {}", deployment.store_path)
    };
    if let Some(running) = &agent.running {
        fields.add("runs", deployment(running));
    }
    if let Some(newest) = agent.newest.as_ref().filter(|newest| Some(*newest) != agent.running.as_ref()) {
        fields.add("newest", deployment(newest));
    }
    fields.render(look)
}
