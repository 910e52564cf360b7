//! The state of a deployment as a word.

use catalog::DeploymentStatus;
use maud::Markup;

use crate::http::web::parts::badge;

/// The state of a deployment.
pub fn status(status: DeploymentStatus) -> Markup {
    match status {
        DeploymentStatus::Pending => badge("", "pending"),
        DeploymentStatus::InProgress => badge("warn", "in progress"),
        DeploymentStatus::Cancelled => badge("", "cancelled"),
        DeploymentStatus::Failed => badge("bad", "failed"),
        DeploymentStatus::Succeeded => badge("good", "succeeded"),
    }
}
