//! How deployments are shown.

use admin_api::{DeploymentInfo, DeploymentStatus};

use crate::output::{
    Cell, Column, Fields, Look, Table, Tone, base_name, counted, date, plain, relative, size,
};

/// Renders a table of deployments.
pub fn table(deployments: &[DeploymentInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("DEPLOYMENT"),
        Column::text("STATUS"),
        Column::text("ACTIVATED"),
        Column::long("PATH"),
    ])
    .or("No deployments.");
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

/// Renders all about a deployment.
pub fn render(deployment: &DeploymentInfo, look: &Look) -> String {
    let time = |time: i64| format!("{} ({})", date(time), relative(look.now, time));
    let mut fields = Fields::new();
    fields.add("Deployment", name(deployment)).add("ID", &deployment.id);
    fields.add("Status", word(deployment.status)).add("Path", &deployment.store_path);
    for (system, script) in &deployment.rollback_scripts {
        fields.add("Rollback script", format!("{script} ({system})"));
    }
    fields.add("Activated", time(deployment.created_at));
    let times = [
        ("Sent", deployment.delivered_at),
        ("Started", deployment.started_at),
        ("Finished", deployment.finished_at),
    ];
    for (name, at) in times {
        if let Some(at) = at {
            fields.add(name, time(at));
        }
    }
    if let Some(bytes) = deployment.closure_bytes {
        fields.add("Closure", size(bytes));
    }
    let truncated = if deployment.log_truncated { ", truncated" } else { "" };
    fields.add("Log", format!("{}{truncated}", counted(deployment.log_lines, "line")));
    fields.render(look)
}

/// The name of a deployment, `AGENT#NUMBER`.
pub fn name(deployment: &DeploymentInfo) -> String {
    format!("{}#{}", plain(&deployment.agent), deployment.number)
}

/// A status with its tone.
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

/// Renders what was activated.
pub fn activated(deployments: &[DeploymentInfo]) -> String {
    deployments.iter().map(activated_one).collect()
}

fn activated_one(deployment: &DeploymentInfo) -> String {
    let (path, name, agent) = (plain(&deployment.store_path), name(deployment), plain(&deployment.agent));
    match deployment.status {
        DeploymentStatus::Pending => {
            format!("Queued {path} as {name}. {agent} starts it when it is connected and idle.\n")
        }
        status => format!("Activated {path} as {name}: {}.\n", word(status)),
    }
}

/// Renders what was cancelled.
pub fn cancelled(deployment: &DeploymentInfo) -> String {
    format!("Cancelled {}.\n", name(deployment))
}
