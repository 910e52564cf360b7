//! From the tree of a file to a [`Config`]: one file per part of the configuration.
//!
//! The tables in [`keys`] read the keys one by one; this folder has the rules that concern several keys. Each function reads what it can,
//! reports what is wrong, and goes on with a default in its place. The result is used only if no error was reported.

mod caches;
mod deploy;
mod oidc;
mod server;
mod storages;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::claims::{Names, Ports};
use super::fault::Report;
use super::section::Section;
use super::wrong::Wrong;
use super::yaml::Node;
use super::{Config, Environment, keys, values};

/// What the meaning of a value depends on, apart from its text.
pub struct Context<'c> {
    /// The environment of the process.
    pub env: &'c Environment,
    /// The file, as an absolute path.
    pub source: Option<&'c Path>,
    /// The state directory, in which relative paths begin.
    pub state_dir: PathBuf,
}

impl Context<'_> {
    /// Resolves the name of a file that holds a secret: a relative one begins in the directory of credentials, or else
    /// beside the configuration file.
    pub fn secret_file(&self, text: &str) -> Result<PathBuf, Wrong> {
        let credentials = self.env.credentials_directory.as_deref();
        let base = credentials.or(self.source.and_then(Path::parent)).unwrap_or(Path::new("/"));
        Ok(values::resolve(base, &values::path(text)?))
    }
}

/// Reads a whole file. `source` is absolute.
pub fn decode(root: Rc<Node>, source: Option<&Path>, env: &Environment, report: &Report) -> Config {
    let file = Section::open_file(root, &keys::FILE, report);
    let server_section = file.section("server", &keys::SERVER);
    let state_dir = server::state_dir(&server_section, source, env);
    let context = Context { env, source, state_dir };
    let mut ports = Ports::default();
    let server = server::read(&server_section, &context, &mut ports);

    let mut cache_names = Names::default();
    let mut caches = caches::read(&file, &server, &context, &mut cache_names, &mut ports);
    caches::hand_out_default_port(&server_section, &server, &ports, &mut caches);

    let mut workspace_names = Names::default();
    let workspaces = deploy::workspaces(&file, &context, &cache_names, &mut workspace_names);
    let agents = deploy::agents(&file, &context, &workspace_names);
    if !agents.is_empty() {
        deploy::warn_of_port(&server_section, &server);
    }
    let oidc = oidc::providers(&file, &context, &cache_names);
    let client_certificates = oidc::client_certificates(&file, &context, &cache_names);
    let source = source.map(Path::to_owned);
    Config { source, server, caches, workspaces, agents, oidc, client_certificates }
}
