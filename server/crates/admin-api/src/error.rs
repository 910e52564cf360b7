use serde::{Deserialize, Serialize};

/// The body of every reply that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// The kind of failure, for programs.
    pub code: ErrorCode,
    /// What happened, to what, and why, for a person.
    pub message: String,
    /// What the person can do about it.
    pub hint: Option<String>,
}

/// The kinds of failure that a client can react to differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// There is no such cache, path, token or endpoint.
    NotFound,
    /// The request is malformed or contradicts itself.
    Invalid,
    /// The request is valid, but the present state does not allow it.
    Conflict,
    /// The two ends speak different versions of this API.
    VersionMismatch,
    /// The daemon cannot answer now, but may be able to later.
    Unavailable,
    /// The daemon failed. Its log has the details.
    Internal,
    /// A code that this build does not know. The message still says what happened.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// Returns the HTTP status of a reply with this code.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Invalid => 400,
            Self::Conflict => 409,
            Self::VersionMismatch => 426,
            Self::Unavailable => 503,
            Self::Internal | Self::Unknown => 500,
        }
    }
}
