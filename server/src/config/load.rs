//! Loading: from a file, or from nothing, to a configuration.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::check::secrets;
use super::decode::decode;
use super::fault::{Fault, Faults, Place, Report};
use super::secret::is_world_readable;
use super::stated::Stated;
use super::yaml::{self, Content, Node};
use super::{Config, Environment, Secret, SecretSource};

/// The configuration of a daemon without a file: one public cache, for this machine only, without other nodes.
const BUILTIN: &str = "\
server:
  hostname: 127.0.0.1
  standalone: true
caches:
  - name: main
";

/// A configuration, and what else is known about its file.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file, as the command line or the search named it.
    pub(super) name: PathBuf,
    /// Faults that do not keep the daemon from starting.
    pub warnings: Vec<Fault>,
    /// Lines of the keys in the file.
    pub(super) lines: Lines,
    /// What the file states explicitly.
    pub stated: Stated,
    /// All of the file, secrets included.
    pub text: Secret,
}

impl Loaded {
    /// A fault at the key `path`, such as `caches[0].name`, that a part of the daemon found beyond the check of the file.
    pub fn fault(&self, path: &str, message: impl Into<String>) -> Fault {
        let mut fault = Fault::error(&self.lines.place(path), message);
        fault.file = Some(self.name.clone());
        fault
    }
}

/// Reads a file and checks it without looking at anything else on the machine.
///
/// # Errors
///
/// If a fault of the file is an error: all of its faults, warnings included.
pub fn load(path: &Path, env: &Environment) -> Result<Loaded, Faults> {
    load_file(path, &File::read(path)?, env)
}

/// Reads a file again for a daemon that runs in `state_dir`. Returns the configuration until the next restart, and the one
/// after it.
///
/// # Errors
///
/// As for [`load`].
pub fn load_again(path: &Path, env: &Environment, state_dir: &Path) -> Result<(Loaded, Config), Faults> {
    let file = File::read(path)?;
    let wanted = load_file(path, &file, env)?;
    let env = Environment { running_in: Some(state_dir.to_owned()), ..env.clone() };
    let loaded = load_file(path, &file, &env)?;
    Ok((Loaded { warnings: wanted.warnings, ..loaded }, wanted.config))
}

/// A file that was read.
struct File {
    /// Its absolute name.
    source: PathBuf,
    text: Secret,
    root: Rc<Node>,
}

impl File {
    fn read(path: &Path) -> Result<Self, Faults> {
        let fail = |mut fault: Fault| {
            fault.file = Some(path.to_owned());
            Faults(vec![fault])
        };
        let unreadable = |error| fail(Fault::error(&Place::default(), format!("cannot be read: {error}")));
        let source = std::path::absolute(path).map_err(unreadable)?;
        let text = Secret::new(fs::read_to_string(&source).map_err(unreadable)?);
        let root = yaml::parse(text.expose()).map_err(|malformed| {
            let place = Place { path: String::new(), line: Some(malformed.line) };
            let fault = Fault::error(&place, malformed.message);
            let advice = match is_ini(text.expose()) {
                true => {
                    Some("this looks like an INI file: write YAML, such as `server: {hostname: localhost}`")
                }
                false => yaml::advice(&fault.message),
            };
            fail(match advice {
                Some(advice) => fault.suggest(advice),
                None => fault,
            })
        })?;
        Ok(Self { source, text, root })
    }
}

/// `path` is the name of the file for messages.
fn load_file(path: &Path, file: &File, env: &Environment) -> Result<Loaded, Faults> {
    let File { source, text, root } = file;
    let report = Report::default();
    let config = decode(Rc::clone(root), Some(source), env, &report);
    warn_of_exposed_secrets(&config, &report);
    warn_of_open_metrics(&config, &Lines::of(root), &report);
    let warnings = report.finish(Some(path))?;
    let name = path.to_owned();
    Ok(Loaded {
        config,
        name,
        warnings,
        lines: Lines::of(root),
        stated: Stated::of(root),
        text: text.clone(),
    })
}

/// Whether a text is an INI file, as the first versions of the Python cache-server had: it begins with a section, and has
/// `key = value`.
fn is_ini(text: &str) -> bool {
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let begins_with_section = lines.next().is_some_and(|line| line.starts_with('[') && line.ends_with(']'));
    begins_with_section && lines.any(|line| line.contains('='))
}

/// The configuration of a daemon without a file.
pub fn builtin(env: &Environment) -> Config {
    let report = Report::default();
    let root = yaml::parse(BUILTIN).expect("the built-in configuration is YAML");
    decode(root, None, env, &report)
}

fn warn_of_exposed_secrets(config: &Config, report: &Report) {
    let Some(file) = config.source.as_deref() else {
        return;
    };
    let mut inline: Vec<_> = secrets(config)
        .into_iter()
        .filter(|(_, source)| matches!(source, SecretSource::Inline(_)))
        .map(|(path, _)| format!("`{path}`"))
        .collect();
    if config.server.database.password().1 {
        inline.push("the password of `server.database`".to_owned());
    }
    if !inline.is_empty() && is_world_readable(file) {
        let message = format!("every user can read this file, and it contains {}", inline.join(", "));
        let fault = Fault::warning(&Place::default(), message);
        report.add(fault.suggest("move secrets to files of their own, or the file to mode 0600"));
    }
}

/// Metrics name private caches, storages and agents.
fn warn_of_open_metrics(config: &Config, lines: &Lines, report: &Report) {
    let server = &config.server;
    let Some(address) = server.metrics_address else { return };
    if address.ip().is_loopback() || server.metrics_token.is_some() {
        return;
    }
    let message = format!(
        "everybody who reaches {address} can read the metrics, which name private caches, storages and agents"
    );
    let fault = Fault::warning(&lines.place("server.metrics-address"), message);
    report.add(fault.suggest("set `metrics-token-file`, or use an address of the loopback interface"));
}

/// The line of every key and list entry of a file, by its path.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(HashMap<String, usize>);

impl Lines {
    fn of(root: &Node) -> Self {
        let mut lines = Self::default();
        lines.add(root, &Place::default());
        lines
    }

    fn add(&mut self, node: &Node, place: &Place) {
        match &node.content {
            Content::Null { .. } | Content::Scalar(_) => {}
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add_child(item, place.entry(index, item.line));
                }
            }
            Content::Map(entries) => {
                for entry in entries {
                    self.add_child(&entry.value, place.key(&entry.key, entry.line));
                }
            }
        }
    }

    fn add_child(&mut self, node: &Node, place: Place) {
        self.add(node, &place);
        self.0.extend(place.line.map(|line| (place.path, line)));
    }

    /// The place of a key, without a line when the file does not have it.
    pub fn place(&self, path: &str) -> Place {
        Place { path: path.to_owned(), line: self.0.get(path).copied() }
    }
}
