//! Faults of a configuration, each with its place and what to do about it.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but is probably not what its author meant.
    Warning,
}

/// One fault. Displays as one line: `config.yaml:12: caches[0].acess: unknown key; did you mean …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// The configuration file, as the command line or the search named it.
    pub file: Option<PathBuf>,
    /// Where in the file, such as `caches[1].storages[0].type`. Empty for the file as a whole.
    pub path: String,
    /// Line in the file, counted from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub expected: Option<String>,
    /// What to do about it.
    pub suggestion: Option<String>,
}

impl Fault {
    pub(super) fn error(place: &Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: None,
            path: place.path.clone(),
            line: place.line,
            message: message.into(),
            expected: None,
            suggestion: None,
        }
    }

    pub(super) fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds what to do about it.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            match self.line {
                Some(line) => write!(f, "{line}: ")?,
                None => f.write_str(" ")?,
            }
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; {suggestion}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, errors and warnings, in the order of the file. One line each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

/// Where something stands in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub path: String,
    pub line: Option<usize>,
}

impl Place {
    /// The place of a key in the mapping at this place.
    pub fn key(&self, key: &str, line: usize) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{key}", self.path), line: Some(line) }
    }

    /// The place of an entry in the list at this place.
    pub fn entry(&self, index: usize, line: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), line: Some(line) }
    }
}

/// For "`x` is taken by …": the place as a phrase.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.path)?;
        match self.line {
            Some(line) => write!(f, " in line {line}"),
            None => Ok(()),
        }
    }
}

/// Collects faults while a file is read, so that one pass finds all of them.
#[derive(Debug, Default)]
pub(super) struct Report(RefCell<Vec<Fault>>);

impl Report {
    pub fn add(&self, fault: Fault) {
        self.0.borrow_mut().push(fault);
    }

    /// Whether an error was reported at this place.
    pub fn has_error(&self, place: &Place) -> bool {
        let is_there = |fault: &Fault| fault.line == place.line && fault.path == place.path;
        self.0.borrow().iter().any(|fault| fault.severity == Severity::Error && is_there(fault))
    }

    /// The faults in the order of the file, each with the file's name; `Err` when one of them is an error.
    pub fn finish(self, file: Option<&Path>) -> Result<Vec<Fault>, Faults> {
        let mut faults = self.0.into_inner();
        for fault in &mut faults {
            fault.file = file.map(Path::to_owned);
        }
        faults.sort_by_key(|fault| fault.line);
        if faults.iter().any(|fault| fault.severity == Severity::Error) {
            Err(Faults(faults))
        } else {
            Ok(faults)
        }
    }
}
