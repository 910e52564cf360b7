//! How many wrong tokens a client may present. Checking a signature is what costs, so a client that has presented many wrong ones has
//! to wait before the next one is looked at.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::limits::connections::Peer;

/// Wrong tokens in a row, and the time after which one of them is forgotten.
const MOST: u32 = 20;
const FORGET: Duration = Duration::from_secs(3);
/// Clients that are told apart.
const CLIENTS: usize = 4096;

/// Who has presented wrong tokens lately.
#[derive(Default)]
pub struct Failures {
    by_client: Mutex<HashMap<Option<Peer>, Record>>,
}

struct Record {
    count: u32,
    since: Instant,
}

impl Record {
    /// Forgets what is long ago.
    fn age(&mut self) {
        let forgotten = u32::try_from(self.since.elapsed().as_millis() / FORGET.as_millis()).unwrap_or(MOST);
        if forgotten > 0 {
            self.count = self.count.saturating_sub(forgotten);
            self.since = Instant::now();
        }
    }
}

impl Failures {
    /// Whether a token of this client is looked at. `None` is this machine itself.
    pub fn may_try(&self, client: Option<Peer>) -> bool {
        let mut clients = self.by_client.lock();
        clients.get_mut(&client).is_none_or(|record| {
            record.age();
            record.count < MOST
        })
    }

    /// Notes a wrong token.
    pub fn note(&self, client: Option<Peer>) {
        let mut clients = self.by_client.lock();
        if clients.len() >= CLIENTS && !clients.contains_key(&client) {
            clients.retain(|_, record| {
                record.age();
                record.count > 0
            });
            if clients.len() >= CLIENTS {
                return;
            }
        }
        let record = clients.entry(client).or_insert(Record { count: 0, since: Instant::now() });
        record.age();
        record.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_client_with_many_wrong_tokens_has_to_wait_and_others_do_not() {
        let failures = Failures::default();
        let client = |last: u8| Peer::of(IpAddr::from([192, 0, 2, last]));
        for _ in 0..MOST {
            assert!(failures.may_try(client(1)));
            failures.note(client(1));
        }
        assert!(!failures.may_try(client(1)));
        assert!(failures.may_try(client(2)) && failures.may_try(None));
    }

    #[test]
    fn clients_are_bounded() {
        let failures = Failures::default();
        for number in 0..10_000_u32 {
            failures.note(Peer::of(IpAddr::from(number.to_be_bytes())));
        }
        assert!(failures.by_client.lock().len() <= CLIENTS);
    }
}
