//! How many sockets may be open, in all and by one client.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::{AgentId, WorkspaceId};
use parking_lot::{Mutex, MutexGuard};

/// An agent may have one in so many of all sockets.
const AGENT_SHARE: usize = 16;
/// Those who follow logs may have one in so many: there is one for each agent of an activation.
const VIEWERS_SHARE: usize = 2;
/// But each at least as many: sockets whose end has not been noticed yet count.
const LEAST: usize = 16;

/// Whose socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An agent.
    Agent(AgentId),
    /// All who follow logs with tokens of a workspace.
    Viewers(WorkspaceId),
}

/// The sockets that are open.
pub struct Slots {
    all: usize,
    taken: Mutex<HashMap<Owner, usize>>,
}

/// One socket, until it is dropped.
pub struct Slot {
    slots: Arc<Slots>,
    owner: Owner,
}

impl Slots {
    /// For so many sockets in all.
    pub fn new(all: usize) -> Self {
        Self { all, taken: Mutex::default() }
    }

    /// Takes one, if there is one left for that owner.
    pub fn take(self: &Arc<Self>, owner: Owner) -> Option<Slot> {
        let share = match owner {
            Owner::Agent(_) => AGENT_SHARE,
            Owner::Viewers(_) => VIEWERS_SHARE,
        };
        let most = (self.all / share).max(LEAST);
        let mut taken = self.lock();
        let of_owner = taken.get(&owner).copied().unwrap_or(0);
        if of_owner >= most || taken.values().sum::<usize>() >= self.all {
            return None;
        }
        taken.insert(owner, of_owner + 1);
        Some(Slot { slots: self.clone(), owner })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, usize>> {
        self.taken.lock()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        if let Some(count) = taken.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn one_client_cannot_take_the_sockets_of_all_others() {
        let slots = Arc::new(Slots::new(LEAST + 2));
        let agent = |number| Owner::Agent(AgentId(Uuid::from_u128(number)));
        let mut held: Vec<_> = std::iter::from_fn(|| slots.take(agent(1))).collect();
        assert_eq!(held.len(), LEAST);
        let others: Vec<_> = (2..9).filter_map(|number| slots.take(agent(number))).collect();
        assert_eq!(others.len(), 2);
        held.pop();
        assert!(slots.take(agent(1)).is_some());
        assert!(slots.take(Owner::Viewers(WorkspaceId(1))).is_some());
        drop((held, others));
        assert!(slots.lock().is_empty());
    }
}
