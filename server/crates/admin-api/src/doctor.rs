use serde::{Deserialize, Serialize};

/// What a check of the installation found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub level: FindingLevel,
    /// What was checked, in a word or two: `clock`, `disk main/default`.
    pub subject: String,
    /// What was found, as one sentence for a person.
    pub message: String,
    /// What the person can do about it.
    pub advice: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingLevel {
    /// All is well.
    Ok,
    /// Something is not as it should be, but works.
    Warn,
    /// Something does not work.
    Error,
}
