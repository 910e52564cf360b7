//! The endpoints of Cachix Deploy: for `cachix deploy activate`, for `cachix deploy agent` and for the deployments that an
//! agent runs (protocol reference 7).
//!
//! | file | what |
//! |---|---|
//! | `activate.rs` | `POST /api/v1/deploy/activate`, `POST /api/v2/deploy/activate` |
//! | `deployment.rs` | `GET /api/v1/deploy/deployment/ID`; `GET /deploy/ID` is in `web/fleet/` |
//! | `agent.rs` | `/ws`: an agent |
//! | `at_work.rs` | `/ws-deployment`: a deployment that an agent runs |
//! | `log.rs` | `/api/v1/deploy/log/ID`: writes or views the log of a deployment |
//! | `socket.rs`, `message.rs` | the sockets and their messages |

pub mod activate;
pub mod agent;
pub mod at_work;
pub mod deployment;
pub mod log;
mod message;
mod socket;

pub(super) use self::socket::Permit;
