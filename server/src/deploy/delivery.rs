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

/// How long an agent may take from what it is sent to the first word about it.
const RESEND: Duration = Duration::from_secs(60);
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
    sent: Option<(DeploymentId, Instant)>,
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
        Self { deploy, agent, registration, connected: Instant::now(), sent: None }
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
                    self.sent = Some((record.id, Instant::now()));
                    return *record;
                }
                Ok(Next::LookAgain(again)) => again,
                Err(error) => {
                    tracing::warn!(agent = self.agent.name, %error, "could not look for deployments");
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
        let earliest = match self.sent {
            Some((id, at)) if id == open.id => Some(at + RESEND),
            _ => open.delivered_at.map(|_| self.connected + SETTLE),
        };
        if let Some(earliest) = earliest.filter(|&earliest| earliest > Instant::now()) {
            return Ok(Next::LookAgain(Some(earliest)));
        }
        // Written down before it is sent, so that after a crash it is known that the agent may have it.
        let event = Event::Delivered { at: UnixTime::now() };
        let changed = self
            .deploy
            .catalog
            .change_deployment(open.id, move |record| state::apply(record, &event))
            .await?;
        match changed {
            Some((record, _)) if record.status == DeploymentStatus::Pending => {
                Ok(Next::Send(Box::new(record)))
            }
            _ => Ok(Next::LookAgain(Some(Instant::now()))),
        }
    }
}

/// Writes down what an agent said of itself, for when it is offline.
async fn record_hello(deploy: Arc<Deploy>, agent: Arc<Agent>, hello: Hello) {
    let Hello { version, system } = hello;
    let recorded = deploy.catalog.agent_connected(agent.id, version, system, UnixTime::now()).await;
    if let Err(error) = recorded {
        tracing::warn!(agent = agent.name, %error, "could not record that an agent connected");
    }
}
