//! Which agents are connected, and who of them is to be told something. In memory only: what matters is in the catalog.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::{AgentId, UnixTime};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Most connections of one agent. It has two while a bootstrapped one gives way to the real one; what is beyond that are
/// connections whose end has not been noticed yet.
const MOST_CONNECTIONS: usize = 4;

/// The connections of all agents.
#[derive(Default)]
pub struct Online {
    agents: Mutex<Agents>,
}

#[derive(Default)]
struct Agents {
    present: HashMap<AgentId, Presence>,
    last_number: u64,
}

#[derive(Default)]
struct Presence {
    /// The oldest first.
    connections: Vec<Connection>,
    /// Sockets of deployments that it is working on.
    at_work: usize,
}

#[derive(Clone)]
struct Connection {
    number: u64,
    hello: Hello,
    since: UnixTime,
    wake: Arc<Notify>,
    displaced: CancellationToken,
}

/// What an agent says of itself when it connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Version of its client.
    pub version: String,
    /// Nix system of its machine.
    pub system: String,
}

/// An agent that is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// What it said of itself.
    pub hello: Hello,
    /// Since when.
    pub since: UnixTime,
}

impl Online {
    /// Notes that an agent has connected. It counts as such until the result is dropped.
    pub fn register(self: &Arc<Self>, agent: AgentId, hello: Hello) -> Registration {
        let mut agents = self.lock();
        agents.last_number += 1;
        let connection = Connection {
            number: agents.last_number,
            hello,
            since: UnixTime::now(),
            wake: Arc::default(),
            displaced: CancellationToken::new(),
        };
        let presence = agents.present.entry(agent).or_default();
        presence.connections.push(connection.clone());
        if presence.connections.len() > MOST_CONNECTIONS {
            presence.connections.remove(0).displaced.cancel();
        }
        Registration { online: self.clone(), agent, connection }
    }

    /// Notes that an agent has opened the socket of a deployment. It counts as at work until the result is dropped.
    pub fn begin_work(self: &Arc<Self>, agent: AgentId) -> AtWork {
        self.lock().present.entry(agent).or_default().at_work += 1;
        AtWork { online: self.clone(), agent }
    }

    /// Whether an agent works on a deployment, as far as its sockets tell.
    pub fn is_at_work(&self, agent: AgentId) -> bool {
        self.lock().present.get(&agent).is_some_and(|presence| presence.at_work > 0)
    }

    /// The newest connection of an agent.
    pub fn find(&self, agent: AgentId) -> Option<Present> {
        let agents = self.lock();
        let newest = agents.present.get(&agent)?.connections.last()?;
        Some(Present { hello: newest.hello.clone(), since: newest.since })
    }

    /// Has the connections of an agent look whether there is something to do.
    pub fn wake(&self, agent: AgentId) {
        if let Some(presence) = self.lock().present.get(&agent) {
            presence.wake();
        }
    }

    /// Has all connections look whether there is something to do.
    pub fn wake_all(&self) {
        self.lock().present.values().for_each(Presence::wake);
    }

    fn leave(&self, agent: AgentId, change: impl FnOnce(&mut Presence)) {
        let mut agents = self.lock();
        if let Some(presence) = agents.present.get_mut(&agent) {
            change(presence);
            presence.wake();
            if presence.connections.is_empty() && presence.at_work == 0 {
                agents.present.remove(&agent);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Agents> {
        self.agents.lock()
    }
}

impl Presence {
    fn wake(&self) {
        // A permit is kept for one that is not waiting at the moment.
        self.connections.iter().for_each(|connection| connection.wake.notify_one());
    }
}

/// One connection of an agent, as long as it lasts.
pub struct Registration {
    online: Arc<Online>,
    agent: AgentId,
    connection: Connection,
}

impl Registration {
    /// Whether this is the connection that gets what there is for the agent.
    pub fn is_newest(&self) -> bool {
        let agents = self.online.lock();
        let newest = agents.present.get(&self.agent).and_then(|presence| presence.connections.last());
        newest.is_some_and(|newest| newest.number == self.connection.number)
    }

    /// Waits until there may be something to do.
    pub async fn woken(&self) {
        self.connection.wake.notified().await;
    }

    /// Cancelled when the agent has so many newer connections that this one is to end.
    pub fn displaced(&self) -> CancellationToken {
        self.connection.displaced.clone()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let number = self.connection.number;
        self.online.leave(self.agent, |presence| {
            presence.connections.retain(|connection| connection.number != number);
        });
    }
}

/// An agent at work on a deployment.
pub struct AtWork {
    online: Arc<Online>,
    agent: AgentId,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.online.leave(self.agent, |presence| presence.at_work -= 1);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const AGENT: AgentId = AgentId(Uuid::from_u128(1));

    #[test]
    fn the_end_of_an_older_connection_leaves_the_newer_one() {
        let online = Arc::new(Online::default());
        let older = online.register(AGENT, Hello::default());
        assert!(older.is_newest());
        let hello = Hello { version: "2".to_owned(), system: "s".to_owned() };
        let newer = online.register(AGENT, hello.clone());
        assert!(newer.is_newest() && !older.is_newest());
        drop(older);
        assert!(newer.is_newest());
        assert_eq!(online.find(AGENT).map(|present| present.hello), Some(hello));
        drop(newer);
        assert_eq!(online.find(AGENT), None);
        assert!(online.lock().present.is_empty());
    }

    #[test]
    fn the_end_of_the_newest_connection_hands_over_to_the_one_before() {
        let online = Arc::new(Online::default());
        let older = online.register(AGENT, Hello::default());
        drop(online.register(AGENT, Hello::default()));
        assert!(older.is_newest());
    }

    #[test]
    fn connections_that_nobody_ends_do_not_pile_up() {
        let online = Arc::new(Online::default());
        let all: Vec<_> =
            (0..MOST_CONNECTIONS + 2).map(|_| online.register(AGENT, Hello::default())).collect();
        let displaced = all.iter().filter(|one| one.connection.displaced.is_cancelled()).count();
        assert_eq!(displaced, 2);
        assert!(all.last().is_some_and(Registration::is_newest));
    }

    #[test]
    fn an_agent_is_at_work_until_its_last_socket_is_gone() {
        let online = Arc::new(Online::default());
        let (first, second) = (online.begin_work(AGENT), online.begin_work(AGENT));
        drop(first);
        assert!(online.is_at_work(AGENT));
        drop(second);
        assert!(!online.is_at_work(AGENT));
        assert!(online.lock().present.is_empty());
    }
}
