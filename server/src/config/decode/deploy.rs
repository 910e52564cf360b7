//! `workspaces` and `agents`.

use url::Url;

use super::Context;
use crate::config::claims::Names;
use crate::config::fault::Fault;
use crate::config::section::Section;
use crate::config::{AgentConfig, ServerConfig, WorkspaceConfig, keys};

/// Reads `workspaces` and takes their names.
pub fn workspaces(
    file: &Section<'_>,
    context: &Context<'_>,
    caches: &Names,
    names: &mut Names,
) -> Vec<WorkspaceConfig> {
    let sections = file.sections("workspaces", &keys::WORKSPACE);
    let read = sections.iter().filter_map(|section| {
        names.claim(section, "name");
        let mut workspace = WorkspaceConfig::default();
        let is_complete = keys::WORKSPACE.read(section, context, &mut workspace);
        section.expect("cache");
        caches.expect(section, "cache", "cache");
        // If a cache has this invalid name, the fault was reported at that cache.
        workspace.cache = section.text("cache").and_then(|name| name.parse().ok())?;
        is_complete.then_some(workspace)
    });
    read.collect()
}

/// Reads `agents`.
pub fn agents(file: &Section<'_>, context: &Context<'_>, workspaces: &Names) -> Vec<AgentConfig> {
    let mut names = Names::default();
    let sections = file.sections("agents", &keys::AGENT);
    let read = sections.iter().filter_map(|section| {
        names.claim(section, "name");
        let mut agent = AgentConfig::default();
        let is_complete = keys::AGENT.read(section, context, &mut agent);
        workspaces.expect(section, "workspace", "workspace");
        is_complete.then_some(agent)
    });
    read.collect()
}

/// Agents of cachix use only the host of the URL: they connect to port 443, or to port 80 for plain HTTP.
pub fn warn_of_port(section: &Section<'_>, server: &ServerConfig) {
    let Some(port) = server.public_url.as_ref().and_then(Url::port) else { return };
    let message = format!(
        "deploy agents cannot reach port {port}; they always use port 80 (http) or 443 (https) of the host"
    );
    let fault = Fault::warning(&section.place("public-url"), message);
    section.report.add(fault.suggest("let a reverse proxy listen on port 80 or 443, and leave the port out"));
}
