use serde::{Deserialize, Serialize};

/// The body of every reply that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// The kind of failure, for programs.
    pub code: ErrorCode,
    /// What happened, and to what, as one sentence for a person.
    pub message: String,
    /// What the person can do about it.
    pub hint: Option<String>,
}

/// The kinds of failure that a client can act on differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// There is no such cache, path, token or endpoint.
    NotFound,
    /// The request is malformed or asks for something that makes no sense.
    Invalid,
    /// The request makes sense, but not in the present state.
    Conflict,
    /// The two ends speak different versions of this API.
    VersionMismatch,
    /// The daemon cannot answer now and may be able to later.
    Unavailable,
    /// The daemon failed; its log says how.
    Internal,
    /// A code that this build does not know; the message still says what happened.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// The HTTP status that goes with the code.
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
