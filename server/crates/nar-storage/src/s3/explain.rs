//! The meaning of error replies, or of missing replies, for a storage.

use std::error::Error;
use std::iter;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::{Context, StorageError};

/// The longest part of a service's message that is repeated, in characters.
const MAX_WORDS: usize = 200;

/// The meaning of a failed request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The service works and has no such object.
    NoSuchKey,
    /// The bucket is at its quota.
    Full,
    /// The requested range starts beyond the end of the object.
    BeyondEnd,
    /// The object or the bucket is missing: services reply so to `HEAD`.
    NotFoundOrNoBucket,
    /// Any other failure, which says nothing about an object.
    Unavailable(String),
}

/// The details of an error reply.
#[derive(Debug, Default, Clone, Copy)]
struct Refusal<'a> {
    /// The HTTP status.
    status: u16,
    /// The error code of S3. Missing in most replies to `HEAD`, and in replies that are not from an S3 service.
    code: Option<&'a str>,
    message: Option<&'a str>,
    /// The region of the bucket, if the service reports it.
    region: Option<&'a str>,
}

impl Failure {
    pub(super) fn new<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let meta = answer.err().meta();
                Self::from_refusal(Refusal {
                    status: answer.raw().status().as_u16(),
                    code: meta.code(),
                    message: meta.message(),
                    region: answer.raw().headers().get("x-amz-bucket-region"),
                })
            }
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                Self::Unavailable(format!("it does not answer like S3 (status {status}): {}", root(error)))
            }
            SdkError::TimeoutError(_) => Self::Unavailable("it does not answer in time".into()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::Unavailable("it cannot be connected to in time".into())
            }
            SdkError::DispatchFailure(_) if lacks_credentials(error) => {
                let reason = "there is no key in the configuration, nor does the AWS SDK find one";
                Self::Unavailable(format!("{reason}: {}", root(error)))
            }
            SdkError::DispatchFailure(_) => Self::Unavailable(format!("no answer: {}", root(error))),
            _ => Self::Unavailable(format!("it cannot be asked: {}", root(error))),
        }
    }

    fn from_refusal(refusal: Refusal<'_>) -> Self {
        let Refusal { status, code, message, region } = refusal;
        let what = match (code.unwrap_or_default(), status) {
            ("NoSuchKey", _) => return Self::NoSuchKey,
            ("QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded", _) | (_, 507) => {
                return Self::Full;
            }
            // Garage has no code for it.
            ("AccessDenied", _) if message.is_some_and(|message| message.contains("quota is reached")) => {
                return Self::Full;
            }
            (_, 416) => return Self::BeyondEnd,
            ("NoSuchBucket", _) => "there is no such bucket",
            ("InvalidAccessKeyId", _) => "the access key is unknown",
            ("SignatureDoesNotMatch", _) => "the secret key does not fit the access key",
            ("RequestTimeTooSkewed", _) => "its clock and ours differ too much",
            ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => "the credentials have expired",
            (
                "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "TemporaryRedirect"
                | "IllegalLocationConstraintException",
                _,
            )
            | (_, 301 | 307 | 308) => "the region is wrong",
            (_, 401 | 403) => "access is denied",
            // The code of the SDK for a 404 without a body.
            ("NotFound", 404) => return Self::NotFoundOrNoBucket,
            ("", 404) => "it does not answer like S3",
            (_, 429 | 503) => "it is overloaded",
            (_, 500..) => "it fails",
            _ => "it refuses the request",
        };
        let mut reason = format!("{what} (status {status}");
        for words in [code, message].into_iter().flatten() {
            reason.push_str(", ");
            reason.push_str(&one_line(words));
        }
        if let Some(region) = region {
            reason.push_str(", the bucket is in ");
            reason.push_str(&one_line(region));
        }
        reason.push(')');
        Self::Unavailable(reason)
    }

    /// Returns the error for the caller. `place` names the bucket.
    pub(super) fn into_error(self, context: Context, place: &str) -> StorageError {
        let reason = match self {
            Self::NoSuchKey => return StorageError::NotFound { context },
            Self::Full => return StorageError::Full { context },
            Self::BeyondEnd => "it has less than it says".into(),
            Self::NotFoundOrNoBucket => "it does not answer like S3 (status 404)".into(),
            Self::Unavailable(reason) => reason,
        };
        StorageError::Unavailable { context, reason: format!("{place}: {reason}") }
    }
}

fn lacks_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<CredentialsError>())
}

/// Returns the innermost cause, which is the one that an operator can act on.
fn root(error: &(dyn Error + 'static)) -> String {
    one_line(&causes(error).last().unwrap_or(error).to_string())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |cause| (*cause).source())
}

/// Returns foreign text, sanitized for a line of a log.
fn one_line(words: &str) -> String {
    let shown = words.chars().map(|char| if char.is_control() { ' ' } else { char });
    shown.take(MAX_WORDS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
