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

pub mod activate;
pub mod agent;
pub mod at_work;
pub mod deployment;
pub mod log;
mod message;
mod socket;
