//! From the tree of a file to a [`Config`]: one file per part of the configuration.
//!
//! Each function reads what it can, reports what is wrong, and goes on with a default in its place; the configuration
//! that comes out is used only when nothing was reported as an error.

mod caches;
mod deploy;
mod server;
mod storages;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::claims::{Names, Ports};
use super::fault::Report;
use super::section::Section;
use super::yaml::Node;
use super::{Config, Environment, keys, values};

/// What reading depends on beside the file's content.
struct Context<'c> {
    env: &'c Environment,
    /// The file, as an absolute path.
    source: Option<&'c Path>,
}

impl Context<'_> {
    /// Where relative paths begin that say where the configuration itself is at home.
    fn directory(&self) -> Option<&Path> {
        self.source.and_then(Path::parent)
    }

    /// Resolves the name of a file that holds a secret.
    fn secret_file(&self, text: &str) -> Result<PathBuf, super::section::Wrong> {
        let credentials = self.env.credentials_directory.as_deref();
        let base = credentials.or(self.directory()).unwrap_or(Path::new("/"));
        Ok(values::resolve(base, &values::path(text)?))
    }
}

/// Reads a whole file. `source` is absolute.
pub fn decode(root: Rc<Node>, source: Option<&Path>, env: &Environment, report: &Report) -> Config {
    let context = Context { env, source };
    let file = Section::open_file(root, &keys::FILE, report);
    let mut ports = Ports::default();
    let server_section = file.section("server", &keys::SERVER);
    let server = server::read(&server_section, &context, &mut ports);

    let mut cache_names = Names::default();
    let mut caches = caches::read(&file, &server, &context, &mut cache_names, &mut ports);
    caches::hand_out_default_port(&server_section, &server, &ports, &mut caches);

    let mut workspace_names = Names::default();
    let workspaces = deploy::workspaces(&file, &cache_names, &mut workspace_names);
    let agents = deploy::agents(&file, &workspace_names);
    if !agents.is_empty() {
        deploy::warn_of_port(&server_section, &server);
    }
    Config { source: source.map(Path::to_owned), server, caches, workspaces, agents }
}
