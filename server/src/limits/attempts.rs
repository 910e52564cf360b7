//! How often a client may fail at something before it has to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::connections::Peer;

/// Clients whose failures are remembered. Beyond that all new ones share one count.
const MOST_CLIENTS: usize = 4096;
/// Clients of this machine count together, and a proxy that does not say for whom it asks is one of them.
const LOCAL_FACTOR: u32 = 3;

/// The failures of each client within a window of time.
pub struct Attempts {
    most: u32,
    window: Duration,
    failures: Mutex<Option<HashMap<Option<Peer>, Window>>>,
}

struct Window {
    began: Instant,
    failures: u32,
}

impl Attempts {
    /// So many failures within each window.
    pub const fn new(most: u32, window: Duration) -> Self {
        Self { most, window, failures: Mutex::new(None) }
    }

    /// Returns how long the client has to wait before its next attempt; `None` if it need not wait.
    pub fn wait(&self, client: Option<IpAddr>) -> Option<Duration> {
        let failures = self.failures.lock();
        let windows = failures.as_ref()?;
        let client = client.and_then(Peer::of);
        let window = windows.get(&client).or_else(|| {
            // It may be one of those that there was no room for.
            (windows.len() >= MOST_CLIENTS).then(|| windows.get(&None)).flatten()
        })?;
        let most = if client.is_none() { self.most.saturating_mul(LOCAL_FACTOR) } else { self.most };
        let left = self.window.checked_sub(window.began.elapsed())?;
        (window.failures >= most).then_some(left)
    }

    /// Notes a failure.
    pub fn failed(&self, client: Option<IpAddr>) {
        let mut failures = self.failures.lock();
        let windows = failures.get_or_insert_default();
        if windows.len() >= MOST_CLIENTS {
            windows.retain(|_, window| window.began.elapsed() < self.window);
        }
        let mut client = client.and_then(Peer::of);
        if windows.len() >= MOST_CLIENTS && !windows.contains_key(&client) {
            client = None;
        }
        let window = windows.entry(client).or_insert(Window { began: Instant::now(), failures: 0 });
        if window.began.elapsed() >= self.window {
            *window = Window { began: Instant::now(), failures: 0 };
        }
        window.failures += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_client_that_fails_too_often_waits_and_others_do_not() {
        let attempts = Attempts::new(3, Duration::from_secs(60));
        for _ in 0..3 {
            assert_eq!(attempts.wait(at(1)), None);
            attempts.failed(at(1));
        }
        assert!(attempts.wait(at(1)).is_some_and(|wait| wait <= Duration::from_secs(60)));
        assert_eq!(attempts.wait(at(2)), None);
        assert_eq!(attempts.wait(None), None);
    }

    #[test]
    fn the_wait_ends_with_the_window() {
        let attempts = Attempts::new(1, Duration::ZERO);
        attempts.failed(at(1));
        assert_eq!(attempts.wait(at(1)), None);
    }

    #[test]
    fn memory_for_clients_is_bounded() {
        let attempts = Attempts::new(1, Duration::from_secs(60));
        for number in 0..2 * u32::try_from(MOST_CLIENTS).expect("it is small") {
            attempts.failed(Some(IpAddr::from(number.saturating_add(0x0b00_0000).to_be_bytes())));
        }
        let failures = attempts.failures.lock();
        assert!(failures.as_ref().is_some_and(|windows| windows.len() <= MOST_CLIENTS + 1));
    }
}
