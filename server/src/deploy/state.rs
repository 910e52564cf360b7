//! What may become of a deployment (protocol reference 7.1). Pure: no clock, no catalog.
//!
//! ```text
//! Pending ──► InProgress ──► Succeeded | Failed
//!    │             │
//!    └─────────────┴──────► Cancelled
//! ```
//!
//! Nothing leaves `Succeeded`, `Failed` and `Cancelled`. Clients repeat themselves and sockets lose messages, so every
//! event may come twice, late, or without the one before it.

use catalog::{DeploymentRecord, DeploymentStatus, UnixTime};

/// Something that happens to a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is being sent to its agent.
    Delivered {
        /// When, by our clock.
        at: UnixTime,
    },
    /// Its agent says that it has begun.
    Started {
        /// When, by the clock of the agent.
        at: UnixTime,
        /// When we heard of it, by our clock.
        heard_at: UnixTime,
        /// Bytes of the closure, which the agent says in a second message.
        closure_size: Option<u64>,
    },
    /// Its agent says that it has ended.
    Finished {
        /// When, by the clock of the agent.
        at: UnixTime,
        /// Whether the agent runs it now.
        succeeded: bool,
    },
    /// The operator calls it off.
    Cancelled {
        /// When, by our clock.
        at: UnixTime,
    },
    /// Nothing was heard of its beginning or its end for too long.
    TimedOut {
        /// When, by our clock.
        at: UnixTime,
    },
}

/// The deployment after the event; `None` if nothing changes.
pub fn apply(deployment: &DeploymentRecord, event: &Event) -> Option<DeploymentRecord> {
    use DeploymentStatus::{Cancelled, Failed, InProgress, Pending, Succeeded};
    if deployment.status.is_final() {
        return None;
    }
    let mut next = deployment.clone();
    match *event {
        Event::Delivered { .. } if deployment.status == InProgress => return None,
        Event::Delivered { at } => next.delivered_at = Some(at),
        Event::Started { at, heard_at, closure_size } => {
            next.status = InProgress;
            next.started_at.get_or_insert(at);
            next.begun_at.get_or_insert(heard_at);
            next.closure_size = closure_size.or(next.closure_size);
        }
        Event::Finished { at, succeeded } => {
            next.status = if succeeded { Succeeded } else { Failed };
            // That it began is certain, even if the message that said so was lost.
            next.started_at.get_or_insert(at);
            next.finished_at = Some(at);
        }
        Event::Cancelled { at } => {
            next.status = Cancelled;
            next.finished_at = Some(at);
        }
        Event::TimedOut { at } => {
            // What never began has changed nothing on the machine.
            next.status = if deployment.status == Pending { Cancelled } else { Failed };
            next.finished_at = Some(at);
        }
    }
    (next != *deployment).then_some(next)
}

#[cfg(test)]
mod tests;
