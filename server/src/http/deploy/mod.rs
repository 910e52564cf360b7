//! What the clients of Cachix Deploy call: `cachix deploy activate`, `cachix deploy agent` and the deployments that it
//! starts (protocol reference 7).
//!
//! | file | what |
//! |---|---|
//! | `activate.rs` | `POST /api/v1/deploy/activate`, `POST /api/v2/deploy/activate` |
//! | `deployment.rs` | `GET /api/v1/deploy/deployment/ID`, `GET /deploy/ID` |
//! | `agent.rs` | `/ws`: an agent |
//! | `at_work.rs` | `/ws-deployment`: a deployment that an agent works on |
//! | `log.rs` | `/api/v1/deploy/log/ID`: the log of a deployment, written and followed |
//! | `socket.rs`, `message.rs` | what the sockets have in common |

mod activate;
mod agent;
mod at_work;
mod deployment;
mod log;
mod message;
mod socket;

use std::sync::Arc;

use warp::Filter;

use super::{Route, any_of};
use crate::http::state::State;

/// All endpoints of Cachix Deploy.
pub(super) fn routes(state: &Arc<State>) -> impl Route {
    any_of([
        activate::routes(state).boxed(),
        deployment::routes(state).boxed(),
        agent::routes(state).boxed(),
        at_work::routes(state).boxed(),
        log::routes(state).boxed(),
    ])
}
