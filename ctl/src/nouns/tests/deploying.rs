//! Agents, workspaces and deployments.

use super::*;

#[test]
fn a_list_of_agents_reads_well_at_80_columns() {
    let text = agent::table(&samples::deploy::agents(), &TERMINAL);
    assert_fits(&text);
    assert_golden("agents.80.txt", &text);
}

#[test]
fn all_about_an_agent_reads_well() {
    let agents = samples::deploy::agents();
    let texts: Vec<_> = agents.iter().map(|agent| agent::render(agent, &TERMINAL)).collect();
    assert_golden("agent.80.txt", &texts.join("\n"));
}

#[test]
fn a_list_of_workspaces_reads_well_at_80_columns() {
    let text = workspace::table(&samples::deploy::workspaces(), &TERMINAL);
    assert_fits(&text);
    assert_golden("workspaces.80.txt", &text);
}

#[test]
fn a_workspace_is_shown_with_its_agents() {
    let whole = workspace::Whole {
        workspace: samples::deploy::workspaces().remove(0),
        members: samples::deploy::agents(),
    };
    let text = workspace::render(&whole, &TERMINAL);
    assert_fits(&text);
    assert_golden("workspace.80.txt", &text);
}

#[test]
fn a_list_of_deployments_reads_well_at_80_columns() {
    let text = deploy::table(&samples::deploy::deployments(), &TERMINAL);
    assert_golden("deployments.80.txt", &text);
}

#[test]
fn all_about_a_deployment_reads_well() {
    let deployments = samples::deploy::deployments();
    let texts: Vec<_> = deployments.iter().map(|one| deploy::render(one, &TERMINAL)).collect();
    assert_golden("deployment.80.txt", &texts.join("\n"));
}

#[test]
fn activated_and_cancelled_deployments_are_named() {
    let deployments = samples::deploy::deployments();
    let text = format!("{}{}", deploy::activated(&deployments[..2]), deploy::cancelled(&deployments[3]));
    assert_golden("deployed.80.txt", &text);
}
