//! What can go wrong in the DHT.

use std::error::Error;
use std::io;
use std::net::SocketAddrV4;

/// Why an operation of the DHT failed.
#[derive(Debug, thiserror::Error)]
pub enum DhtError {
    /// The port cannot be bound.
    #[error("cannot listen on UDP {address}")]
    Bind {
        /// The address and port.
        address: SocketAddrV4,
        /// What the operating system reported.
        source: io::Error,
    },
    /// No other node is known that could store a record.
    #[error("no other node of the network is known")]
    Alone,
    /// Other nodes kept changing the same record.
    #[error("too many other nodes are changing the record `{0}`")]
    Contended(String),
    /// No node answered.
    #[error("no node stored the record `{0}`")]
    Unanswered(String),
    /// The operating system returned no random bytes.
    #[error("cannot seal a record")]
    Random(#[from] getrandom::Error),
}

/// Returns an error and its causes as one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
