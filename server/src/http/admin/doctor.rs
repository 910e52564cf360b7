//! Checks of the installation.

use admin_api::{Diagnose, Finding};

use super::Answer;
use crate::doctor::{Patient, examine};
use crate::http::state::State;

pub(in crate::http) async fn diagnose(state: &State, _: Diagnose) -> Answer<Vec<Finding>> {
    let patient =
        Patient { core: state, workers: &state.workers, listeners: &state.listeners, origin: &state.origin };
    Ok(examine(&patient).await)
}
