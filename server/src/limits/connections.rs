//! The open connections, and which of them makes room when there are too many.
//!
//! A table is locked when a connection opens or closes, never for a request: a request stores to atomics of its connection
//! only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::counters::LIMIT_HITS;
use crate::counters::labels::LimitHit;

/// How long the client of a reply may move no byte before its connection may be closed to make room.
const STUCK: Duration = Duration::from_secs(30);
/// How long the first request of a connection, or the next bytes of it, may be on their way.
pub const ARRIVAL: Duration = Duration::from_secs(2);

/// The client of a connection, as far as limits per client are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer([u8; 16]);

impl Peer {
    /// The peer at this address. `None` for this machine itself: behind a reverse proxy every client comes from there.
    ///
    /// IPv6 addresses with the same first 64 bits are one peer, as a network of that size is what a single host gets.
    pub fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            local if local.is_loopback() => None,
            IpAddr::V4(address) => Some(Self(address.to_ipv6_mapped().octets())),
            IpAddr::V6(address) => {
                let mut octets = address.octets();
                octets[8..].fill(0);
                Some(Self(octets))
            }
        }
    }
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// No request head has arrived yet.
    New,
    /// It waits for the next request.
    Idle,
    /// A request is being received or handled.
    Working,
    /// A reply is being sent.
    Sending,
}

/// An open connection, as it reports what it does.
pub struct Connection {
    peer: Option<Peer>,
    phase: AtomicU8,
    /// How many replies were handed to it.
    replies: AtomicU32,
    /// When it last moved a byte, in milliseconds of [`now`].
    moved: AtomicU64,
    /// Cancelled when it is to make room.
    evicted: CancellationToken,
}

impl Connection {
    fn new(peer: Option<Peer>) -> Self {
        Self {
            peer,
            phase: AtomicU8::new(Phase::New as u8),
            replies: AtomicU32::new(0),
            moved: AtomicU64::new(now()),
            evicted: CancellationToken::new(),
        }
    }

    /// Notes that bytes were received or sent.
    pub fn has_moved(&self) {
        self.moved.store(now(), Ordering::Relaxed);
    }

    /// Notes that a request head has arrived.
    pub fn has_request(&self) {
        self.enter(Phase::Working);
    }

    /// Notes that the reply is being sent.
    pub fn sends_reply(&self) {
        self.enter(Phase::Sending);
    }

    /// Notes that the reply was handed to the connection.
    pub fn is_done(&self) {
        self.has_moved();
        self.replies.fetch_add(1, Ordering::Relaxed);
        self.enter(Phase::Idle);
    }

    /// How many replies were handed to the connection so far, modulo 2³².
    pub fn replies(&self) -> u32 {
        self.replies.load(Ordering::Relaxed)
    }

    /// Whether no request was ever received.
    pub fn is_new(&self) -> bool {
        self.phase() == Phase::New
    }

    /// Whether the first request may be on its way: the connection is new, and something has just arrived on it.
    pub fn may_begin(&self) -> bool {
        let quiet = now().saturating_sub(self.moved.load(Ordering::Relaxed));
        self.is_new() && quiet < ARRIVAL.as_millis() as u64
    }

    /// Whether the connection has to make room for another one.
    pub fn is_evicted(&self) -> bool {
        self.evicted.is_cancelled()
    }

    /// Resolves when the connection has to make room for another one.
    pub async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            phase if phase == Phase::New as u8 => Phase::New,
            phase if phase == Phase::Idle as u8 => Phase::Idle,
            phase if phase == Phase::Working as u8 => Phase::Working,
            _ => Phase::Sending,
        }
    }

    /// How well it may be missed: the least is evicted first. `None` if it must not be evicted.
    fn rank(&self, now: u64) -> Option<(bool, u64)> {
        let moved = self.moved.load(Ordering::Relaxed);
        match self.phase() {
            Phase::New | Phase::Idle => Some((false, moved)),
            // The client does not read.
            Phase::Sending if now.saturating_sub(moved) >= STUCK.as_millis() as u64 => Some((true, moved)),
            Phase::Sending | Phase::Working => None,
        }
    }
}

/// The open connections of one kind.
pub struct Connections {
    most: usize,
    most_of_peer: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Connection>>,
    /// Evicted ones that have not closed yet.
    closing: usize,
    by_peer: HashMap<Peer, usize>,
}

/// A place in the table; given back when dropped.
pub struct Place {
    connections: Arc<Connections>,
    id: u64,
    connection: Arc<Connection>,
}

impl Connections {
    /// At most `most` connections at once, and half of them from one peer.
    pub fn new(most: usize) -> Self {
        Self { most, most_of_peer: (most / 2).max(1), table: Mutex::default() }
    }

    /// Finds a place for a connection of `peer`, for which the idlest other one is evicted if there are too many. `None` if
    /// all are in use.
    pub fn admit(self: &Arc<Self>, peer: Option<Peer>) -> Option<Place> {
        let place = self.find_place(peer);
        if place.is_none() {
            LIMIT_HITS.count(LimitHit::Connections);
        }
        place
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        let table = self.lock();
        table.open.len() + table.closing
    }

    fn find_place(self: &Arc<Self>, peer: Option<Peer>) -> Option<Place> {
        let mut table = self.lock();
        let of_peer = peer.and_then(|peer| table.by_peer.get(&peer)).copied().unwrap_or(0);
        if of_peer >= self.most_of_peer {
            table.evict_idlest(peer)?;
        } else if table.open.len() >= self.most {
            // Those evicted before are still to close; that takes a moment each.
            if table.closing >= self.most {
                return None;
            }
            table.evict_idlest(None)?;
        }
        let id = table.next;
        table.next += 1;
        let connection = Arc::new(Connection::new(peer));
        table.insert(id, connection.clone());
        drop(table);
        Some(Place { connections: self.clone(), id, connection })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    fn insert(&mut self, id: u64, connection: Arc<Connection>) {
        if let Some(peer) = connection.peer {
            *self.by_peer.entry(peer).or_default() += 1;
        }
        self.open.insert(id, connection);
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let connection = self.open.remove(&id)?;
        if let Some(peer) = connection.peer
            && let Some(count) = self.by_peer.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&peer);
            }
        }
        Some(connection)
    }

    /// Evicts the idlest connection: of this peer, if one is given.
    fn evict_idlest(&mut self, of: Option<Peer>) -> Option<()> {
        let now = now();
        let (_, id) = self
            .open
            .iter()
            .filter(|(_, connection)| of.is_none() || connection.peer == of)
            .filter_map(|(id, connection)| Some((connection.rank(now)?, *id)))
            .min()?;
        let connection = self.remove(id)?;
        self.closing += 1;
        LIMIT_HITS.count(LimitHit::ConnectionEvicted);
        connection.evicted.cancel();
        Some(())
    }
}

impl Place {
    /// The connection that has this place.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        if table.remove(self.id).is_none() {
            table.closing -= 1;
        }
    }
}

/// Milliseconds since some moment in the past.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Option<Peer> {
        Peer::of(IpAddr::from([192, 0, 2, last]))
    }

    fn is_evicted(place: &Place) -> bool {
        place.connection.evicted.is_cancelled()
    }

    #[test]
    fn the_idlest_connection_makes_room() {
        let connections = Arc::new(Connections::new(3));
        let places: Vec<Place> = (0..3).map(|_| connections.admit(None).unwrap()).collect();
        for (place, moved) in places.iter().zip([2, 1, 3]) {
            place.connection.is_done();
            place.connection.moved.store(moved, Ordering::Relaxed);
        }
        let new = connections.admit(None).unwrap();
        assert_eq!([false, true, false], [0, 1, 2].map(|place| is_evicted(&places[place])));
        assert!(!is_evicted(&new));
    }

    #[test]
    fn no_request_under_way_is_cut_off() {
        let connections = Arc::new(Connections::new(2));
        let (working, sending) = (connections.admit(None).unwrap(), connections.admit(None).unwrap());
        working.connection.has_request();
        sending.connection.has_request();
        sending.connection.sends_reply();
        assert!(connections.admit(None).is_none());
        drop(working);
        assert!(connections.admit(None).is_some());
    }

    #[test]
    fn one_peer_gets_half_of_the_connections_and_evicts_its_own_only() {
        let connections = Arc::new(Connections::new(4));
        let other = connections.admit(peer(1)).unwrap();
        let greedy: Vec<Place> = (0..3).map(|_| connections.admit(peer(2)).unwrap()).collect();
        assert!(is_evicted(&greedy[0]) && !is_evicted(&greedy[1]) && !is_evicted(&other));
        greedy[1..].iter().for_each(|place| place.connection.has_request());
        assert!(connections.admit(peer(2)).is_none());
        assert!(connections.admit(peer(3)).is_some());
        assert!(!is_evicted(&other));
    }

    #[test]
    fn a_proxy_on_this_machine_is_no_single_peer() {
        assert_eq!(Peer::of(IpAddr::from([127, 0, 0, 1])), None);
        assert_eq!(Peer::of("::1".parse().unwrap()), None);
        assert_eq!(Peer::of("::ffff:127.0.0.1".parse().unwrap()), None);
        assert_eq!(Peer::of("::ffff:192.0.2.7".parse().unwrap()), peer(7));
        assert_eq!(Peer::of("2001:db8::1".parse().unwrap()), Peer::of("2001:db8::2".parse().unwrap()));
        assert_ne!(Peer::of("2001:db8::1".parse().unwrap()), Peer::of("2001:db8:0:1::1".parse().unwrap()));
    }

    #[test]
    fn places_are_given_back() {
        let connections = Arc::new(Connections::new(2));
        for _ in 0..3 {
            let places: Vec<Place> = (0..5).filter_map(|_| connections.admit(peer(1))).collect();
            assert_eq!(places.len(), 5);
        }
        let table = connections.lock();
        assert!(table.open.is_empty() && table.by_peer.is_empty() && table.closing == 0);
    }
}
