//! Places of which one client gets only some, however many requests it sends.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use super::connections::Peer;

/// Places for requests of one kind.
pub struct Slots {
    most_of_client: usize,
    taken: Mutex<Option<HashMap<Peer, usize>>>,
}

/// A place; given back when dropped.
pub struct Slot {
    slots: &'static Slots,
    /// `None` for this machine itself, which has no limit.
    client: Option<Peer>,
}

impl Slots {
    /// So many for each client.
    pub const fn new(most_of_client: usize) -> Self {
        Self { most_of_client, taken: Mutex::new(None) }
    }

    /// Takes a place for the client at this address. `None` if it has all that it may have.
    pub fn take(&'static self, client: Option<IpAddr>) -> Option<Slot> {
        let client = client.and_then(Peer::of);
        if let Some(client) = client {
            let mut taken = self.taken.lock();
            let count = taken.get_or_insert_default().entry(client).or_default();
            if *count >= self.most_of_client {
                return None;
            }
            *count += 1;
        }
        Some(Slot { slots: self, client })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut taken = self.slots.taken.lock();
        let taken = taken.get_or_insert_default();
        if let Some(count) = taken.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&client);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_some_of_the_places_and_others_get_theirs() {
        static SLOTS: Slots = Slots::new(2);
        let at = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let mut held: Vec<Slot> = (0..2).map(|_| SLOTS.take(at(1)).unwrap()).collect();
        assert!(SLOTS.take(at(1)).is_none());
        assert!(SLOTS.take(at(2)).is_some());
        held.pop();
        assert!(SLOTS.take(at(1)).is_some());
        drop(held);
        assert!(SLOTS.taken.lock().as_ref().unwrap().is_empty());
    }

    #[test]
    fn this_machine_has_no_limit() {
        static SLOTS: Slots = Slots::new(1);
        let held: Vec<_> = (0..5).map(|_| SLOTS.take(Some(IpAddr::from([127, 0, 0, 1])))).collect();
        assert!(held.iter().all(Option::is_some) && SLOTS.take(None).is_some());
    }
}
