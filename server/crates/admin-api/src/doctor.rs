use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Checks the installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnose {}

impl Endpoint for Diagnose {
    type Reply = Vec<Finding>;
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/doctor";
    const SINCE: Since = Since::Workers;
}

/// The result of one check of the installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How serious it is.
    pub level: FindingLevel,
    /// What was checked, in a word or two: `clock`, `disk main/default`.
    pub subject: String,
    /// What was found, in one sentence for a person.
    pub message: String,
    /// What the person can do about it.
    pub advice: Option<String>,
}

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingLevel {
    /// The check passed.
    Ok,
    /// Something is not as it should be, but works.
    Warn,
    /// Something does not work.
    Error,
}
