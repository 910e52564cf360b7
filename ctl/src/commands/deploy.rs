use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use admin_api::{Activate, DeploymentInfo, DeploymentStatus, ListDeployments, LogEvent, Rollback};
use serde::Deserialize;

use crate::args::{self, Deploy};
use crate::client::Client;
use crate::error::Error;
use crate::output::{
    Cell, Column, Fields, Look, Output, Table, Tone, base_name, counted, date, plain, relative, say, size,
};

/// `cachectl deploy …`
pub async fn run(command: Deploy, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Deploy::List { agent, limit } => {
            let wanted = ListDeployments { agent, limit: Some(limit) };
            let deployments = client.deployments(&wanted).await?;
            output.print(&deployments, |look| table(&deployments, look))
        }
        Deploy::Show { deployment } => {
            let deployment = client.deployment(&deployment).await?;
            output.print(&deployment, |look| render(&deployment, look))
        }
        Deploy::Logs { deployment, follow } => logs(&deployment, follow, client, output).await,
        Deploy::Cancel { deployment } => {
            let deployment = client.cancel_deployment(&deployment).await?;
            output.print(&deployment, |_| cancelled(&deployment))
        }
        Deploy::Activate(arguments) => {
            let activated = client.activate(&read(arguments)?).await?;
            output.print(&activated, |_| told(&activated))
        }
        Deploy::Rollback { agent } => {
            let deployment = client.roll_back(&Rollback { agent }).await?;
            output.print(&deployment, |_| told(std::slice::from_ref(&deployment)))
        }
    }
}

/// What `cachix deploy activate` reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Specification {
    agents: BTreeMap<String, String>,
    #[serde(default)]
    rollback_script: Option<BTreeMap<String, String>>,
}

fn read(arguments: args::Activate) -> Result<Activate, Error> {
    let specification = parse(&arguments.specification)?;
    let mut agents = specification.agents;
    if let Some(absent) = arguments.agents.iter().find(|name| !agents.contains_key(*name)) {
        let reason = format!("it names no agent `{absent}`");
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

async fn logs(which: &str, follow: bool, client: &Client, output: &Output) -> Result<(), Error> {
    let mut events = client.deployment_log(which, follow).await?;
    let mut lines = 0;
    loop {
        let event = events.next::<LogEvent>().await?;
        let text = match (output.json, &event.event) {
            (true, _) => format!("{}\n", event.line),
            (false, LogEvent::Line { line, .. }) => format!("{}\n", plain(line)),
            (false, LogEvent::Waiting | LogEvent::End { .. }) => String::new(),
        };
        lines += u64::from(matches!(event.event, LogEvent::Line { .. }));
        if let Err(error) = write(&text) {
            // The reader has seen enough, as `head` does.
            return if error.kind() == io::ErrorKind::BrokenPipe {
                Ok(())
            } else {
                Err(Error::Output(error))
            };
        }
        if let LogEvent::End { deployment } = event.event {
            if !output.json {
                tell_end(&deployment, lines);
            }
            let unsuccessful =
                matches!(deployment.status, DeploymentStatus::Failed | DeploymentStatus::Cancelled);
            return match follow && unsuccessful {
                true => {
                    Err(Error::Undeployed { deployment: name(&deployment), status: word(deployment.status) })
                }
                false => Ok(()),
            };
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn tell_end(deployment: &DeploymentInfo, lines: u64) {
    if lines == 0 {
        let why = if deployment.log_truncated { "is too old to be kept" } else { "is empty" };
        say(&format!("The log of {} {why}.", name(deployment)));
    }
    say(&format!("{}: {}", name(deployment), word(deployment.status)));
}

/// A table of deployments.
pub fn table(deployments: &[DeploymentInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("DEPLOYMENT"),
        Column::text("STATUS"),
        Column::text("ACTIVATED"),
        Column::text("PATH"),
    ]);
    for deployment in deployments {
        table.add([
            name(deployment).into(),
            status(deployment.status),
            relative(look.now, deployment.created_at).into(),
            base_name(&deployment.store_path).into(),
        ]);
    }
    table.render(look)
}

/// All about a deployment.
pub fn render(deployment: &DeploymentInfo, look: &Look) -> String {
    let time = |time: i64| format!("{} ({})", date(time), relative(look.now, time));
    let mut fields = Fields::new();
    fields.add("deployment", name(deployment)).add("id", &deployment.id);
    fields.add("status", word(deployment.status)).add("path", &deployment.store_path);
    for (system, script) in &deployment.rollback_scripts {
        fields.add("rollback script", format!("{script} ({system})"));
    }
    fields.add("activated", time(deployment.created_at));
    let times = [
        ("sent", deployment.delivered_at),
        ("started", deployment.started_at),
        ("finished", deployment.finished_at),
    ];
    for (name, at) in times {
        if let Some(at) = at {
            fields.add(name, time(at));
        }
    }
    if let Some(bytes) = deployment.closure_bytes {
        fields.add("closure", size(bytes));
    }
    let cut = if deployment.log_truncated { ", cut" } else { "" };
    fields.add("log", format!("{}{cut}", counted(deployment.log_lines, "line")));
    fields.render(look)
}

/// How a deployment is called.
pub fn name(deployment: &DeploymentInfo) -> String {
    format!("{}#{}", plain(&deployment.agent), deployment.number)
}

/// A status, with its colour.
pub fn status(status: DeploymentStatus) -> Cell {
    let tone = match status {
        DeploymentStatus::Pending | DeploymentStatus::InProgress => Tone::Plain,
        DeploymentStatus::Cancelled => Tone::Odd,
        DeploymentStatus::Failed => Tone::Bad,
        DeploymentStatus::Succeeded => Tone::Good,
    };
    Cell::new(word(status), tone)
}

/// A status in words.
pub fn word(status: DeploymentStatus) -> &'static str {
    match status {
        DeploymentStatus::Pending => "pending",
        DeploymentStatus::InProgress => "in progress",
        DeploymentStatus::Cancelled => "cancelled",
        DeploymentStatus::Failed => "failed",
        DeploymentStatus::Succeeded => "succeeded",
    }
}

/// What was activated.
pub fn told(deployments: &[DeploymentInfo]) -> String {
    let one = |one: &DeploymentInfo| format!("Activated {} as {}.\n", plain(&one.store_path), name(one));
    deployments.iter().map(one).collect()
}

/// What was cancelled.
pub fn cancelled(deployment: &DeploymentInfo) -> String {
    format!("Cancelled {}.\n", name(deployment))
}
