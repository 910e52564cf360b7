//! Names, ports and directories that only one entry of the file may have.

use std::path::{Path, PathBuf};

use super::fault::{Fault, Place};
use super::keys::nearest;
use super::section::Section;
use super::wrong::shown;

/// Names that have to be unique, and that others may refer to.
#[derive(Debug, Default)]
pub struct Names {
    taken: Vec<(String, Place)>,
}

impl Names {
    /// Takes the name that `section` has under `key`, valid or not. Returns `false` and reports it if it was taken.
    pub fn claim(&mut self, section: &Section<'_>, key: &str) -> bool {
        let Some(name) = section.text(key) else {
            return true;
        };
        if let Some((_, first)) = self.taken.iter().find(|(taken, _)| taken == name) {
            section.error(key, format!("{} is taken by {first}", shown(name)));
            return false;
        }
        self.taken.push((name.to_owned(), section.place(key)));
        true
    }

    /// Reports when `section` refers under `key` to a name that nothing has.
    pub fn expect(&self, section: &Section<'_>, key: &str, what: &str) {
        if let Some(name) = section.text(key) {
            self.expect_at(section, &section.place(key), name, what);
        }
    }

    /// The same for a key that takes one name or a list of them.
    pub fn expect_all(&self, section: &Section<'_>, key: &str, what: &str) {
        for (name, place) in section.texts(key) {
            self.expect_at(section, &place, &name, what);
        }
    }

    fn expect_at(&self, section: &Section<'_>, place: &Place, name: &str, what: &str) {
        if self.taken.iter().any(|(taken, _)| taken == name) {
            return;
        }
        let message = format!("there is no {what} {}", shown(name));
        let fault = Fault::error(place, message);
        let names = self.taken.iter().map(|(taken, _)| taken.as_str());
        section.report.add(match nearest(name, names) {
            Some(meant) => fault.suggest(format!("did you mean `{meant}`?")),
            None => fault,
        });
    }
}

/// TCP ports of our listeners.
#[derive(Debug, Default)]
pub struct Ports {
    taken: Vec<(u16, Place)>,
}

impl Ports {
    /// Takes a port for the listener that `section` configures under `key`, or by its default.
    pub fn claim(&mut self, section: &Section<'_>, key: &str, port: u16) {
        if let Some(first) = self.find(port) {
            section.error(key, format!("{port} is taken by {first}"));
            return;
        }
        let mut place = section.place(key);
        if !section.has(key) {
            place.line = None;
        }
        self.taken.push((port, place));
    }

    /// The listener that has the port.
    pub fn find(&self, port: u16) -> Option<&Place> {
        let (_, place) = self.taken.iter().find(|(taken, _)| *taken == port)?;
        Some(place)
    }
}

/// Directories that have to be distinct and must not contain each other, each on a volume: the file system, a bucket.
#[derive(Debug, Default)]
pub struct Roots {
    taken: Vec<(String, PathBuf, Place)>,
}

impl Roots {
    /// Takes a directory; `Err` says how it collides with one that is taken.
    pub fn claim(&mut self, volume: &str, root: &Path, place: &Place) -> Result<(), String> {
        for (taken_volume, taken, first) in &self.taken {
            if taken_volume != volume {
                continue;
            }
            if taken == root {
                return Err(format!("is the same place as {first}"));
            } else if root.starts_with(taken) {
                return Err(format!("is inside {first}"));
            } else if taken.starts_with(root) {
                return Err(format!("contains {first}"));
            }
        }
        let taken = (volume.to_owned(), root.to_owned(), place.clone());
        self.taken.push(taken);
        Ok(())
    }
}
