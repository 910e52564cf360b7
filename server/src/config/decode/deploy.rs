//! `workspaces` and `agents`.

use url::Url;

use crate::config::claims::Names;
use crate::config::fault::Fault;
use crate::config::section::Section;
use crate::config::{AgentConfig, ServerConfig, WorkspaceConfig, keys, values};

/// Reads `workspaces` and takes their names.
pub fn workspaces(file: &Section<'_>, caches: &Names, names: &mut Names) -> Vec<WorkspaceConfig> {
    let sections = file.sections("workspaces", &keys::WORKSPACE);
    let read = sections.iter().filter_map(|section| {
        names.claim(section, "name");
        let name = section.require("name", values::name);
        section.expect("cache");
        caches.expect(section, "cache", "cache");
        // A bad name that a cache has was reported there.
        let cache = section.text("cache").and_then(|name| name.parse().ok());
        Some(WorkspaceConfig { name: name?, cache: cache? })
    });
    read.collect()
}

/// Reads `agents`.
pub fn agents(file: &Section<'_>, workspaces: &Names) -> Vec<AgentConfig> {
    let mut names = Names::default();
    let sections = file.sections("agents", &keys::AGENT);
    let read = sections.iter().filter_map(|section| {
        names.claim(section, "name");
        let name = section.require("name", values::name);
        let workspace = section.require("workspace", values::name);
        workspaces.expect(section, "workspace", "workspace");
        Some(AgentConfig { name: name?, workspace: workspace? })
    });
    read.collect()
}

/// Agents of cachix know the host of the server only: they use port 443, or 80 for plain HTTP, whatever the URL says.
pub fn warn_of_port(section: &Section<'_>, server: &ServerConfig) {
    let Some(port) = server.public_url.as_ref().and_then(Url::port) else { return };
    let message = format!(
        "port {port} is out of reach for deploy agents, which always use port 80 (http) or 443 (https) of the host"
    );
    let fault = Fault::warning(&section.place("public-url"), message);
    section.report.add(fault.suggest("let a reverse proxy listen on port 80 or 443, and leave the port out"));
}
