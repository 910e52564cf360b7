//! The pages of deployments.

pub mod agents;
pub mod deployment;
pub mod events;
mod status;
pub mod workspaces;
