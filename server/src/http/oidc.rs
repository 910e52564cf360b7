//! Tokens of this server in exchange for those of OpenID providers (RFC 8693).

use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::body::{self, Collected};
use super::error::HttpError;
use super::router::{Nothing, Request};
use super::{Answer, status};
use crate::audit::Object;
use crate::auth::{AuthError, Exchanged};
use crate::counters::TOKEN_REFUSALS;
use crate::limits::connections::Peer;

/// Largest request in bytes: a token, and what goes with it.
const MOST: usize = 32 << 10;
/// The grant type of an exchange (section 2.1).
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Types that the token of a provider may have (section 3).
const SUBJECT_TYPES: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt"];
/// The type of the token that is given.
const ISSUED_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The form of a request (section 2.1). What else it may have is ignored.
#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    subject_token: String,
    #[serde(default)]
    subject_token_type: String,
    #[serde(default)]
    requested_token_type: Option<String>,
}

/// A successful reply (section 2.2.1).
#[derive(Serialize)]
struct Issued<'a> {
    access_token: &'a str,
    issued_token_type: &'static str,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
}

/// An error (RFC 6749, section 5.2).
#[derive(Serialize)]
struct Refused<'a> {
    error: &'static str,
    error_description: &'a str,
}

/// Gives a token of this server in exchange for one of a provider.
pub async fn exchange(request: Request<Nothing>) -> Answer {
    let Request { state, head, body, .. } = request;
    let form: Collected = body::read_of_stranger(body, MOST).await?;
    let form: Result<Form, _> = serde_urlencoded::from_bytes(&form);
    let Ok(form) = form else { return Ok(refuse("invalid_request", "the body is not a form")) };
    if form.grant_type != EXCHANGE {
        return Ok(refuse("unsupported_grant_type", "grant_type has to be that of a token exchange"));
    }
    if form.subject_token.is_empty() || !SUBJECT_TYPES.contains(&form.subject_token_type.as_str()) {
        let reason = "subject_token has to be an ID token, and subject_token_type has to say so";
        return Ok(refuse("invalid_request", reason));
    }
    if form.requested_token_type.is_some_and(|wanted| wanted != ISSUED_TYPE) {
        return Ok(refuse("invalid_request", "only access tokens are issued"));
    }
    match state.tokens.exchange(&form.subject_token, head.client.and_then(Peer::of)).await {
        Ok(exchanged) => {
            tracing::info!(
                session = %exchanged.session.id,
                provider = exchanged.session.provider,
                subject = exchanged.session.subject,
                "gave a token in exchange for one of an OpenID provider"
            );
            Ok(issued(&exchanged))
        }
        Err(error @ (AuthError::Unavailable | AuthError::TooManyFailures)) => Err(HttpError::from(error)),
        Err(error) => {
            TOKEN_REFUSALS.count(error.reason());
            Ok(refuse("invalid_request", "the subject token is refused; the log of the server says why"))
        }
    }
}

fn issued(exchanged: &Exchanged) -> Response {
    let session = &exchanged.session;
    let reply = Issued {
        access_token: &exchanged.token,
        issued_token_type: ISSUED_TYPE,
        token_type: "Bearer",
        expires_in: exchanged.lifetime,
        scope: format!("{} {}", session.permission.as_str(), session.caches.join(" ")),
    };
    let mut response = json(StatusCode::OK, &reply);
    let subject = format!("{} {}", session.provider.as_deref().unwrap_or_default(), session.subject);
    response.extensions_mut().insert(Object(format!("session {} of {subject}", session.id)));
    response
}

fn refuse(error: &'static str, description: &str) -> Response {
    json(StatusCode::BAD_REQUEST, &Refused { error, error_description: description })
}

/// A reply that nothing on the way may keep (RFC 6749, section 5.1).
fn json(code: StatusCode, reply: &impl Serialize) -> Response {
    let mut response = status(code);
    *response.body_mut() = serde_json::to_string(reply).unwrap_or_default().into();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
