use serde::{Deserialize, Serialize};

/// What came of reading the config again.
///
/// A faulty file changes nothing: it is refused with [`ErrorCode::Invalid`](crate::ErrorCode::Invalid), whose message has
/// all faults, one a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What was changed, one sentence each; empty when nothing was.
    pub changes: Vec<String>,
    /// What differs as well but takes a restart of the daemon, one sentence each.
    pub needs_restart: Vec<String>,
    /// What is likely not meant as the file says it, one sentence each, with file and line. Left out when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}
