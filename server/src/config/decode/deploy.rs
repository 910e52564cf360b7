//! `workspaces` and `agents`.

use crate::config::claims::Names;
use crate::config::section::Section;
use crate::config::{AgentConfig, WorkspaceConfig, keys, values};

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
