//! What the configuration promises, tested through the functions that the daemon calls.
#![allow(clippy::unwrap_used)]

mod checks;
mod defaults;
mod example;
mod faults;
mod legacy;
mod printing;
mod reference;
mod secrets;
mod values;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Config, Environment, Fault, Faults, Loaded, load};

/// A directory with a configuration file, and an environment that points nowhere else.
struct Scene {
    directory: TempDir,
    env: Environment,
}

impl Scene {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let env = Environment { home: Some(directory.path().join("home")), ..Environment::default() };
        Self { directory, env }
    }

    /// A path in the directory.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the directory that nobody else may read.
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn load(&self, yaml: &str) -> Result<Loaded, Faults> {
        load(&self.write("config.yaml", yaml), &self.env)
    }
}

/// Loads a configuration that has no errors.
fn config(yaml: &str) -> Config {
    loaded(yaml).config
}

fn loaded(yaml: &str) -> Loaded {
    Scene::new().load(yaml).unwrap()
}

/// Every fault of a configuration, whether it loads or not.
fn faults(yaml: &str) -> Vec<Fault> {
    match Scene::new().load(yaml) {
        Ok(loaded) => loaded.warnings,
        Err(Faults(faults)) => faults,
    }
}

/// The faults as a person reads them, without the name of the file.
fn lines(yaml: &str) -> Vec<String> {
    let strip = |mut fault: Fault| {
        fault.file = None;
        match fault.line {
            Some(line) => format!("{line}: {fault}"),
            None => fault.to_string(),
        }
    };
    faults(yaml).into_iter().map(strip).collect()
}
