//! What the running daemon shows of itself to those who watch it. Reads the state of the other parts, and changes nothing.
//!
//! | file | what |
//! |---|---|
//! | `health.rs` | whether new requests should come here, and why not |
//! | `metrics/` | the figures for Prometheus |

pub mod health;
pub mod metrics;
