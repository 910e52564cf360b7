//! What is sent to an agent over its connection, and when (protocol reference 7.5).
//!
//! There is no acknowledgement: that a deployment has arrived is known once it has started. Until then it is sent again on
//! each new connection, and after a while on the same one, but never while the agent is seen to work: it queues what it
//! is sent, and would do it twice.

use std::sync::Arc;
use std::time::Duration;

use catalog::{CatalogError, DeploymentId, DeploymentRecord, DeploymentStatus, UnixTime};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::online::{Hello, Registration};
use super::state::{self, Event};
use super::{Agent, Deploy};

use crate::chain::chain;

/// How long an agent may take from what it is sent to the first word about it. Doubles each time, up to the longest: an
/// agent that does not get to it queues all it is sent.
const RESEND: Duration = Duration::from_secs(60);
const LONGEST_RESEND: Duration = Duration::from_secs(60 * 60);
/// How long a connection waits with what was sent on an earlier one. The agent may have begun with it, and lost both
/// sockets at once; it opens them again after a second, in any order.
const SETTLE: Duration = Duration::from_millis(2000);
/// Pause after the catalog could not be asked.
const PAUSE: Duration = Duration::from_secs(2);

/// One connection of an agent, with what was sent over it.
pub struct Delivery {
    deploy: Arc<Deploy>,
    agent: Arc<Agent>,
    registration: Registration,
    connected: Instant,
    connected_at: UnixTime,
    sent: Option<Sent>,
}

/// What was sent over a connection last.
#[derive(Clone, Copy)]
struct Sent {
    id: DeploymentId,
    at: Instant,
    times: u32,
}

impl Sent {
    /// When to send it again.
    fn due(&self) -> Instant {
        let doublings = (self.times - 1).min(16);
        self.at + RESEND.saturating_mul(1 << doublings).min(LONGEST_RESEND)
    }
}

/// What to do next.
enum Next {
    Send(Box<DeploymentRecord>),
    /// Nothing until then, unless something happens.
    LookAgain(Option<Instant>),
}

impl Delivery {
    /// Registers a new connection.
    pub fn begin(deploy: Arc<Deploy>, agent: Arc<Agent>, hello: Hello) -> Self {
        deploy.sockets.spawn(record_hello(deploy.clone(), agent.clone(), hello.clone()));
        let registration = deploy.online.register(agent.id, hello);
        let (connected, connected_at) = (Instant::now(), UnixTime::now());
        Self { deploy, agent, registration, connected, connected_at, sent: None }
    }

    /// Cancelled when the agent has so many newer connections that this one is to end.
    pub fn displaced(&self) -> CancellationToken {
        self.registration.displaced()
    }

    /// Waits until there is a deployment to be sent. May be dropped at any time: what was not sent then is found again.
    pub async fn next(&mut self) -> DeploymentRecord {
        loop {
            let again = match self.look().await {
                Ok(Next::Send(record)) => {
                    let before = self.sent.filter(|sent| sent.id == record.id).map_or(0, |sent| sent.times);
                    self.sent = Some(Sent { id: record.id, at: Instant::now(), times: before + 1 });
                    return *record;
                }
                Ok(Next::LookAgain(again)) => again,
                Err(error) => {
                    tracing::warn!(agent = self.agent.name, error = %chain(&error), "could not look for deployments");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            match again {
                Some(again) => tokio::select! {
                    () = self.registration.woken() => {}
                    () = sleep_until(again) => {}
                },
                None => self.registration.woken().await,
            }
        }
    }

    async fn look(&self) -> Result<Next, CatalogError> {
        if !self.registration.is_newest() || self.deploy.online.is_at_work(self.agent.id) {
            return Ok(Next::LookAgain(None));
        }
        let Some(open) = self.deploy.catalog.open_deployment(self.agent.id).await? else {
            return Ok(Next::LookAgain(None));
        };
        if open.status != DeploymentStatus::Pending {
            return Ok(Next::LookAgain(None));
        }
        let earliest = self.earliest(&open);
        if let Some(earliest) = earliest.filter(|&earliest| earliest > Instant::now()) {
            return Ok(Next::LookAgain(Some(earliest)));
        }
        // Written down before it is sent, so that after a crash it is known that the agent may have it. Two connections
        // that are opened at once may both be about to send it, and one of them comes too late.
        let (event, before) = (Event::Delivered { at: UnixTime::now() }, open.delivered_at);
        let deliver = move |record: &DeploymentRecord| {
            if record.delivered_at == before { state::apply(record, &event) } else { None }
        };
        match self.deploy.catalog.change_deployment(open.id, deliver).await? {
            Some((record, true)) => Ok(Next::Send(Box::new(record))),
            _ => Ok(Next::LookAgain(Some(Instant::now() + PAUSE))),
        }
    }

    /// When this connection may send a deployment, if not at once.
    fn earliest(&self, open: &DeploymentRecord) -> Option<Instant> {
        if let Some(sent) = self.sent.filter(|sent| sent.id == open.id) {
            return Some(sent.due());
        }
        let delivered_at = open.delivered_at?;
        if self.deploy.catalog.is_shared() && delivered_at > self.connected_at {
            // Another daemon has a connection of the agent as well, and was faster.
            let since = u64::try_from(UnixTime::now().0 - delivered_at.0).unwrap_or(0);
            return Some(Instant::now() + RESEND.saturating_sub(Duration::from_secs(since)));
        }
        Some(self.connected + SETTLE)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.deploy.sockets.spawn(record_end(self.deploy.clone(), self.agent.clone()));
    }
}

/// Writes down until when an agent was there.
async fn record_end(deploy: Arc<Deploy>, agent: Arc<Agent>) {
    if let Err(error) = deploy.catalog.agent_disconnected(agent.id, UnixTime::now()).await {
        tracing::warn!(agent = agent.name, error = %chain(&error), "could not record that an agent disconnected");
    }
}

/// Writes down what an agent said of itself, for when it is offline.
async fn record_hello(deploy: Arc<Deploy>, agent: Arc<Agent>, hello: Hello) {
    let Hello { version, system } = hello;
    let recorded = deploy.catalog.agent_connected(agent.id, version, system, UnixTime::now()).await;
    if let Err(error) = recorded {
        tracing::warn!(agent = agent.name, error = %chain(&error), "could not record that an agent connected");
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_not_begun_is_sent_again_ever_less_often() {
        let at = Instant::now();
        let pause = |times| Sent { id: DeploymentId(Uuid::nil()), at, times }.due() - at;
        assert_eq!([1, 2, 3].map(pause), [1, 2, 4].map(|minutes| Duration::from_secs(60 * minutes)));
        assert_eq!([7, 30, u32::MAX].map(pause), [LONGEST_RESEND; 3]);
    }
}
