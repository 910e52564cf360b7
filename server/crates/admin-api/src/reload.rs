use http::Method;
use serde::{Deserialize, Serialize};

use crate::{Endpoint, Since};

/// Reloads the config.
///
/// A faulty file changes nothing. The daemon refuses it with [`ErrorCode::Invalid`](crate::ErrorCode::Invalid) and lists
/// all faults in the message, one per line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {}

impl Endpoint for Reload {
    type Reply = Reloaded;
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/v1/reload";
    const SINCE: Since = Since::Workers;
}

/// The result of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What changed, one sentence each; empty if nothing did.
    pub changes: Vec<String>,
    /// The differences that take effect only when the daemon restarts, one sentence each.
    pub needs_restart: Vec<String>,
    /// What is probably a mistake in the file, one sentence each, with file and line. Left out if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}
