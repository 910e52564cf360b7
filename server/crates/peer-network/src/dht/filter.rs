//! The request filter of our DHT node: it stores only records of its own network and limits the rate of replies to each address.
//!
//! Anybody can reach the port. Without the filter, anybody could fill the store and evict our records.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mainline::{RequestFilter, RequestSpecific};
use parking_lot::{Mutex, RwLock};

use crate::Keyring;

/// The burst of requests allowed for an address, and the requests per second after that: several times what a node sends that
/// announces as fast as it can.
const BURST: f64 = 8192.0;
const PER_SECOND: f64 = 2048.0;
/// The most addresses that are tracked.
const MOST_ADDRESSES: usize = 4096;
/// The most nodes that are remembered as writers.
const MOST_WRITERS: usize = 16;

/// Accepts or refuses requests. Clones share their state.
#[derive(Clone)]
pub struct Filter {
    /// The keys under which records of the network are written.
    writers: Arc<RwLock<Vec<[u8; 32]>>>,
    budgets: Arc<Mutex<HashMap<(Ipv4Addr, u16), Budget>>>,
    counts: Arc<Counts>,
    /// The nodes that wrote records of the network here, the latest last.
    latest_writers: Arc<Mutex<VecDeque<SocketAddrV4>>>,
}

/// Requests of other nodes since the start.
#[derive(Default)]
struct Counts {
    records: AtomicU64,
    refused: AtomicU64,
}

/// The remaining requests of an address.
struct Budget {
    left: f64,
    since: Instant,
}

impl fmt::Debug for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Filter")
    }
}

impl Filter {
    pub fn new(keys: &Keyring) -> Self {
        let filter = Self {
            writers: Arc::default(),
            budgets: Arc::default(),
            counts: Arc::default(),
            latest_writers: Arc::default(),
        };
        filter.set_keys(keys);
        filter
    }

    /// Returns how many records of the network other nodes had this one store.
    pub fn records(&self) -> u64 {
        self.counts.records.load(Ordering::Relaxed)
    }

    /// Returns how many requests were refused.
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::Relaxed)
    }

    /// Returns the nodes that wrote records of the network here most recently. They know this node, whether it knows them or not.
    pub fn latest_writers(&self) -> Vec<SocketAddrV4> {
        self.latest_writers.lock().iter().copied().collect()
    }

    fn note_writer(&self, from: SocketAddrV4) {
        let mut writers = self.latest_writers.lock();
        match writers.iter().position(|writer| *writer == from) {
            Some(place) => drop(writers.remove(place)),
            None if writers.len() == MOST_WRITERS => drop(writers.pop_front()),
            None => {}
        }
        writers.push_back(from);
    }

    /// Replaces the keys under which records are accepted.
    pub fn set_keys(&self, keys: &Keyring) {
        let writers = keys.iter().map(|key| key.public_key()).collect();
        *self.writers.write() = writers;
    }

    fn is_writer(&self, key: &[u8; 32]) -> bool {
        self.writers.read().contains(key)
    }

    /// Returns whether the address may send one more request.
    fn has_budget(&self, from: SocketAddrV4) -> bool {
        // Several nodes on one host, as in a test, differ only by their ports.
        let port = if from.ip().is_loopback() { from.port() } else { 0 };
        let now = Instant::now();
        let left = |budget: &Budget| {
            let earned = now.duration_since(budget.since).as_secs_f64() * PER_SECOND;
            (budget.left + earned).min(BURST)
        };
        let mut budgets = self.budgets.lock();
        if budgets.len() >= MOST_ADDRESSES {
            budgets.retain(|_, budget| left(budget) < BURST);
        }
        if budgets.len() >= MOST_ADDRESSES {
            // Senders of datagrams can claim any address, so that one is not known says nothing.
            budgets.clear();
        }
        let budget = budgets.entry((*from.ip(), port)).or_insert(Budget { left: BURST, since: now });
        *budget = Budget { left: left(budget), since: now };
        if budget.left < 1.0 {
            return false;
        }
        budget.left -= 1.0;
        true
    }
}

impl RequestFilter for Filter {
    fn allow_request(&self, request: &RequestSpecific, from: SocketAddrV4) -> bool {
        let is_allowed = self.has_budget(from)
            && match Kind::of(&request.request_type) {
                Kind::Question => true,
                Kind::Record(writer) if self.is_writer(&writer) => {
                    self.counts.records.fetch_add(1, Ordering::Relaxed);
                    self.note_writer(from);
                    true
                }
                Kind::Record(_) | Kind::Other => false,
            };
        if !is_allowed {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        is_allowed
    }
}

/// What a request is about.
#[derive(Debug, PartialEq)]
enum Kind {
    /// It stores nothing.
    Question,
    /// It stores a mutable item under this key.
    Record([u8; 32]),
    /// It stores another item, or is unknown.
    Other,
}

impl Kind {
    /// `mainline` passes requests to filters but does not export their types, so this relies on their `Debug` output. It contains no
    /// text of the sender, because bytes are shown as numbers. Unknown output is refused; a test checks that our own requests are
    /// recognized.
    fn of(request: &impl fmt::Debug) -> Self {
        let mut beginning = Limited { text: String::new(), limit: 12 };
        let _ = write!(beginning, "{request:?}");
        let is = |name: &str| beginning.text.starts_with(name);
        if is("Ping") || is("FindNode(") || is("GetPeers(") || is("GetValue(") {
            return Self::Question;
        }
        if !is("Put(") {
            return Self::Other;
        }
        let mut shown = Limited { text: String::new(), limit: LONGEST_PUT };
        if write!(shown, "{request:?}").is_err() {
            return Self::Other;
        }
        writer_of(&shown.text).map_or(Self::Other, Self::Record)
    }
}

/// A put as it is shown: five characters for each of at most 2 KiB, and names.
const LONGEST_PUT: usize = 16 << 10;

/// The key in a mutable put.
fn writer_of(shown: &str) -> Option<[u8; 32]> {
    let (_, put) = shown.split_once("put_request_type: PutMutable(PutMutableRequestArguments { ")?;
    let (_, key) = put.split_once(", k: [")?;
    let (key, _) = key.split_once(']')?;
    let bytes: Vec<u8> = key.split(", ").map(str::parse).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok()
}

/// Takes so many bytes of text and no more.
struct Limited {
    text: String,
    limit: usize,
}

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        if self.text.len() > self.limit { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn filter() -> Filter {
        Filter::new(&Keyring::derive(b"secret", []))
    }

    #[test]
    fn an_address_that_asks_without_end_gets_answers_only_so_often() {
        let filter = filter();
        let (greedy, other) = (SocketAddrV4::new([192, 0, 2, 1].into(), 1), [192, 0, 2, 2].into());
        let asked = 4 * BURST as u32;
        let begun = Instant::now();
        let answered = (0..asked).filter(|_| filter.has_budget(greedy)).count() as f64;
        let earned = begun.elapsed().as_secs_f64() * PER_SECOND;
        assert!(answered >= BURST && answered <= BURST + earned + 1.0, "{answered}");
        // From whichever port.
        let elsewhere = SocketAddrV4::new(*greedy.ip(), 2);
        let more = (0..asked).filter(|_| filter.has_budget(elsewhere)).count() as f64;
        assert!(more <= begun.elapsed().as_secs_f64() * PER_SECOND + 1.0, "{more}");
        assert!(filter.has_budget(SocketAddrV4::new(other, 1)));
    }

    #[test]
    fn addresses_without_end_take_no_memory_without_end() {
        let filter = filter();
        for number in 0..3 * MOST_ADDRESSES as u32 {
            filter.has_budget(SocketAddrV4::new(number.into(), 1));
        }
        assert!(filter.budgets.lock().len() <= MOST_ADDRESSES);
    }

    #[test]
    fn the_latest_writers_are_remembered_and_no_more() {
        let filter = filter();
        let node = |port: usize| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port as u16);
        (1..=MOST_WRITERS + 2).chain([3]).for_each(|port| filter.note_writer(node(port)));
        let expected: Vec<_> = (4..=MOST_WRITERS + 2).chain([3]).map(node).collect();
        assert_eq!(filter.latest_writers(), expected);
    }

    #[test]
    fn what_looks_unfamiliar_is_refused() {
        #[derive(Debug)]
        #[allow(dead_code, reason = "only shown")]
        enum Request {
            Ping,
            Vote(u8),
            Put(&'static str),
        }
        assert_eq!(Kind::of(&Request::Ping), Kind::Question);
        assert_eq!(Kind::of(&Request::Vote(1)), Kind::Other);
        assert_eq!(Kind::of(&Request::Put("put_request_type: PutMutable, k: [1]")), Kind::Other);
    }
}
