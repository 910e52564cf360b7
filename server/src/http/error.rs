//! Turns errors of the domain into HTTP statuses. Nothing else does.
//!
//! Replies are plain text for a person: what was wrong with the request and what to do. They never contain a path, a query, a
//! secret or the text of an inner error. Those go to the log.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use warp::reply::{Reply, Response};

use crate::auth::AuthError;
use crate::cache::PushError;
use crate::cache::lookup::LookupError;
use crate::chain::chain;
use crate::counters::{LIMIT_HITS, PUSH_REFUSALS, TOKEN_REFUSALS};
use crate::listeners::serve::failure;
use crate::request_id::request_id;
use catalog::CatalogError;

/// Seconds after which a client should retry that met an overload or a failing storage. The Cachix client accepts up to 120.
const RETRY_SECONDS: u16 = 10;

/// An error as the client sees it: a status and a message.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    message: String,
    /// The seconds after which to try again, where that is known.
    retry_after: Option<u64>,
}

impl HttpError {
    /// Makes an error with this status. The client sees `message` unchanged.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    /// The status and the message.
    pub fn parts(&self) -> (StatusCode, &str) {
        (self.status, &self.message)
    }

    /// 400 for a malformed request.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404 for something inside a cache.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found")
    }

    /// 404 for a cache.
    pub fn unknown_cache(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no cache called `{name}` here"))
    }

    /// 403 for a part URL that is not ours, or not any more.
    pub fn invalid_part_url() -> Self {
        Self::new(StatusCode::FORBIDDEN, "this upload URL is not valid or has expired")
    }

    /// 403 for a client that has not proved to be a node of our network.
    pub fn not_a_peer() -> Self {
        Self::new(StatusCode::FORBIDDEN, "only for nodes of the same network")
    }

    /// 500. The cause goes to the log alone.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        let request_id = request_id();
        tracing::error!(request_id, error = %chain(cause), "a request failed");
        let message = format!("the server failed to answer; try again later (request {request_id})");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

impl Reply for HttpError {
    fn into_response(self) -> Response {
        let mut response = failure(self.status, &self.message);
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"binary cache\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<AuthError> for HttpError {
    fn from(error: AuthError) -> Self {
        TOKEN_REFUSALS.count(error.reason());
        let status = match error {
            AuthError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            AuthError::TooManyFailures => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::UNAUTHORIZED,
        };
        let retry_after = (status == StatusCode::TOO_MANY_REQUESTS).then_some(u64::from(RETRY_SECONDS));
        Self { retry_after, ..Self::new(status, error.to_string()) }
    }
}

impl From<LookupError> for HttpError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Catalog(error) => error.into(),
        }
    }
}

impl From<CatalogError> for HttpError {
    fn from(error: CatalogError) -> Self {
        if error.is_temporary() {
            let request_id = request_id();
            tracing::warn!(request_id, error = %chain(&error), "a request failed because the database is unavailable");
            let message =
                format!("the server's database is unavailable; try again later (request {request_id})");
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, message);
        }
        Self::internal(&error)
    }
}

impl From<PushError> for HttpError {
    fn from(error: PushError) -> Self {
        PUSH_REFUSALS.count(error.cause());
        error.limit().into_iter().for_each(|limit| LIMIT_HITS.count(limit));
        let status = match &error {
            PushError::UnknownUpload => StatusCode::NOT_FOUND,
            PushError::TooManyUploads
            | PushError::CatalogReadOnly
            | PushError::TooManyOfToken
            | PushError::TooManyOfCache
            | PushError::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            PushError::OverDailyLimit { .. } => StatusCode::TOO_MANY_REQUESTS,
            PushError::TokenEnded => StatusCode::FORBIDDEN,
            PushError::Parts(_) | PushError::Checksum(_) | PushError::Invalid(_) => StatusCode::BAD_REQUEST,
            PushError::Body(_) => StatusCode::REQUEST_TIMEOUT,
            PushError::Mismatch { .. } | PushError::Corrupt(_) | PushError::Signature(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            PushError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            PushError::NarMissing(_) | PushError::Contradiction(_) => StatusCode::CONFLICT,
            PushError::Full | PushError::CacheFull => StatusCode::INSUFFICIENT_STORAGE,
            PushError::StorageFailing | PushError::Draining => StatusCode::SERVICE_UNAVAILABLE,
            PushError::Catalog(error) if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
            PushError::Lost | PushError::Disk(_) | PushError::Catalog(_) | PushError::Internal => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let is_overload = matches!(
            error,
            PushError::TooManyUploads
                | PushError::CatalogReadOnly
                | PushError::TooManyOfToken
                | PushError::TooManyOfCache
                | PushError::Busy(_)
        );
        if is_overload {
            tracing::debug!(error = %chain(&error), "a push was refused for now");
        } else if status.is_server_error() {
            let request_id = request_id();
            tracing::error!(request_id, error = %chain(&error), "a push failed");
            return Self::new(status, format!("{error} (request {request_id})"));
        }
        let retry_after = match &error {
            PushError::OverDailyLimit { seconds } => Some(*seconds),
            _ => None,
        };
        Self { retry_after, ..Self::new(status, error.to_string()) }
    }
}
