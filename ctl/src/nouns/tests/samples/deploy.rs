//! Agents, workspaces and deployments.

use admin_api::{AgentInfo, DeploymentInfo, DeploymentStatus, WorkspaceInfo};

use super::NOW;

const DAY: i64 = 86_400;
const PATH: &str = "/nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-nixos-system-web-25.11";

fn deployment(agent: &str, number: u64, status: DeploymentStatus, age: i64) -> DeploymentInfo {
    let started = status != DeploymentStatus::Pending;
    let finished = started && status != DeploymentStatus::InProgress;
    DeploymentInfo {
        id: format!("0b9f5a9e-6f0e-4a53-9a2c-3c1d5e7f9b{number:02}"),
        agent: agent.into(),
        number,
        store_path: PATH.into(),
        rollback_scripts: [("x86_64-linux".to_owned(), format!("{PATH}-check"))].into(),
        status,
        created_at: NOW - age,
        delivered_at: started.then_some(NOW - age + 1),
        started_at: started.then_some(NOW - age + 2),
        finished_at: finished.then_some(NOW - age + 90),
        closure_bytes: finished.then_some(3 << 30),
        log_lines: if started { 120 } else { 0 },
        log_truncated: number == 7,
    }
}

pub fn deployments() -> Vec<DeploymentInfo> {
    vec![
        deployment("webserver", 12, DeploymentStatus::Pending, 40),
        deployment("build-machine", 3, DeploymentStatus::InProgress, 600),
        deployment("webserver", 11, DeploymentStatus::Failed, 3 * 3600),
        deployment("webserver", 10, DeploymentStatus::Cancelled, DAY),
        deployment("webserver", 7, DeploymentStatus::Succeeded, 9 * DAY),
    ]
}

pub fn agents() -> Vec<AgentInfo> {
    let all = deployments();
    let agent = |name: &str, online: Option<i64>, seen: Option<i64>| AgentInfo {
        id: "3c6a6b1e-0f6c-4f59-8d2a-6b8f3f0c2d22".into(),
        name: name.into(),
        workspace: "production".into(),
        declared: true,
        online_since: online,
        last_seen_at: seen,
        version: seen.map(|_| "1.11.1".into()),
        system: seen.map(|_| "x86_64-linux".into()),
        running: None,
        newest: None,
    };
    let webserver = agent("webserver", Some(NOW - 3 * 3600), Some(NOW - 3 * 3600));
    vec![
        AgentInfo { newest: Some(all[1].clone()), ..agent("build-machine", None, Some(NOW - 2 * DAY)) },
        agent("new", None, None),
        AgentInfo { declared: false, ..agent("old", None, Some(NOW - 90 * DAY)) },
        AgentInfo { running: Some(all[4].clone()), newest: Some(all[0].clone()), ..webserver },
    ]
}

pub fn workspaces() -> Vec<WorkspaceInfo> {
    let workspace = |name: &str, agents| WorkspaceInfo {
        name: name.into(),
        cache: "main".into(),
        agents,
        online: agents / 2,
        deploying: 1,
    };
    vec![workspace("production", 1200), workspace("staging", 3)]
}
