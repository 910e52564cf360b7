//! Budgets of what requests hold while their clients send or read: bytes of bodies, or places for readers.
//!
//! A request takes its share piece by piece, so one that announces much and sends little holds little. When a budget is
//! exhausted:
//!
//! - a request waits, for a bounded time, until others have ended; small ones come first, then those that began first;
//! - a request whose client has sent or read nothing for a while loses its share to any other one;
//! - of those that wait for more, the last in line loses its share to the first.
//!
//! A quarter of each budget is kept for small requests. So whatever large or slow requests there are, a small one gets
//! through, and among equals some get through.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Bytes for the bodies of anonymous clients.
static ANONYMOUS: Budget = Budget::new(16 << 20);
/// Bytes for the bodies of clients with a token.
static KNOWN: Budget = Budget::new(32 << 20);

/// Places for readers of single files out of NARs: so many that the usual decoders, of some 9 MiB each, fit into the memory
/// of their kind (see [`super::decoder_memory`]), else readers that stand still would keep it from others.
static READERS: Budget = Budget::new(24);

/// How long a request waits for its share.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a client may make no progress until others may have its share.
const IDLE: Duration = Duration::from_secs(5);
/// Bytes that count as progress: a client that sends one byte now and then makes none.
const STEP: usize = 8 << 10;
/// The first that a request takes comes before all else, up to this much: most requests take no more.
const SMALL: usize = 64 << 10;

/// A budget has nothing left for a request.
#[derive(Debug, thiserror::Error)]
#[error("the server is busy with too many requests of this kind; try again later")]
pub struct Exhausted;

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A client without a token.
    Anonymous,
    /// A client with a token, or the operator.
    Known,
}

struct Budget {
    state: Mutex<Option<State>>,
    size: usize,
    freed: Notify,
}

struct State {
    size: usize,
    free: usize,
    /// Held by requests that have lost their share and still have to end.
    ending: usize,
    next: u64,
    requests: HashMap<u64, Request>,
}

/// Small requests come first, then those that announce less, then those that began first.
type Rank = (usize, u64);

struct Request {
    announced: usize,
    rank: Rank,
    held: usize,
    phase: Phase,
    /// When it made progress last, and how far it has come since.
    since: Instant,
    progress: usize,
    revoked: CancellationToken,
}

impl Request {
    fn has_progressed(&mut self, bytes: usize) {
        self.progress += bytes;
        if self.progress >= STEP {
            (self.since, self.progress) = (Instant::now(), 0);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is worked on.
    Busy,
    /// The client is to send or to read.
    Client,
    /// It needs more.
    Budget,
}

impl Budget {
    const fn new(size: usize) -> Self {
        Self { state: Mutex::new(None), size, freed: Notify::const_new() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state: MutexGuard<'_, _> = self.state.lock();
        act(state.get_or_insert_with(|| State {
            size: self.size,
            free: self.size,
            ending: 0,
            next: 0,
            requests: HashMap::new(),
        }))
    }
}

/// Whether a request got what it asked for.
enum Taken {
    Yes,
    /// It waits from now on, which may decide for others that wait.
    NotYet,
    StillNot,
}

impl State {
    /// Takes `more` for the request, or makes another one lose its share.
    fn take(&mut self, id: u64, more: usize) -> Taken {
        let Some(request) = self.requests.get_mut(&id) else { return Taken::StillNot };
        let is_small = request.held == 0 && more <= SMALL;
        request.rank = (if is_small { 0 } else { request.announced }, id);
        let rank = request.rank;
        let reserve = if is_small { 0 } else { self.size / 4 };
        let usable = self.free.saturating_sub(reserve);
        let mut others = self.requests.values();
        let is_first = others.all(|request| request.phase != Phase::Budget || request.rank >= rank);
        if usable >= more && is_first {
            self.free -= more;
            if let Some(request) = self.requests.get_mut(&id) {
                request.held += more;
                request.has_progressed(more);
                request.phase = Phase::Busy;
            }
            return Taken::Yes;
        }
        let mut has_begun_to_wait = false;
        if let Some(request) = self.requests.get_mut(&id) {
            has_begun_to_wait = request.phase != Phase::Budget;
            request.phase = Phase::Budget;
        }
        if usable + self.ending < more {
            self.revoke_one(id, rank);
        }
        if has_begun_to_wait { Taken::NotYet } else { Taken::StillNot }
    }

    fn revoke_one(&mut self, id: u64, rank: Rank) {
        let others = || {
            let others = self.requests.iter().filter(|(other, _)| **other != id);
            others.filter(|(_, request)| request.held > 0 && !request.revoked.is_cancelled())
        };
        let idlest = others()
            .filter_map(|(id, request)| match request.phase {
                Phase::Client if request.since.elapsed() >= IDLE => Some((request.since, *id)),
                _ => None,
            })
            .min();
        let last = others()
            .filter(|(_, request)| request.phase == Phase::Budget && request.rank > rank)
            .map(|(id, request)| (request.rank, *id))
            .max();
        let victim = idlest.map(|(_, id)| id).or(last.map(|(_, id)| id));
        if let Some(request) = victim.and_then(|id| self.requests.get(&id)) {
            self.ending += request.held;
            request.revoked.cancel();
        }
    }
}

/// What one request holds; given back when dropped.
pub struct Share {
    budget: &'static Budget,
    id: u64,
    revoked: CancellationToken,
}

impl Share {
    /// Nothing yet, for a body of `announced` bytes.
    pub fn of_body(sender: Sender, announced: usize) -> Self {
        let budget = match sender {
            Sender::Anonymous => &ANONYMOUS,
            Sender::Known => &KNOWN,
        };
        Self::of(budget, announced)
    }

    /// Nothing yet, for the reader of a single file. It takes one place.
    pub fn of_reader() -> Self {
        Self::of(&READERS, 1)
    }

    fn of(budget: &'static Budget, announced: usize) -> Self {
        let revoked = CancellationToken::new();
        let id = budget.with(|state| {
            let id = state.next;
            state.next += 1;
            let request = Request {
                announced,
                rank: (announced, id),
                held: 0,
                phase: Phase::Busy,
                since: Instant::now(),
                progress: 0,
                revoked: revoked.clone(),
            };
            state.requests.insert(id, request);
            id
        });
        Self { budget, id, revoked }
    }

    /// Takes `more`, once there is so much.
    pub async fn grow(&self, more: usize) -> Result<(), Exhausted> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut freed = std::pin::pin!(self.budget.freed.notified());
            freed.as_mut().enable();
            if self.revoked.is_cancelled() {
                return Err(Exhausted);
            }
            match self.budget.with(|state| state.take(self.id, more)) {
                Taken::Yes => return Ok(()),
                Taken::NotYet => self.budget.freed.notify_waiters(),
                Taken::StillNot => {}
            }
            tokio::select! {
                () = freed => {}
                () = self.revoked.cancelled() => return Err(Exhausted),
                // A client may have become idle enough meanwhile.
                () = tokio::time::sleep(IDLE / 4) => {}
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Exhausted);
            }
        }
    }

    /// Gives back `less`.
    pub fn shrink(&self, less: usize) {
        self.budget.with(|state| {
            let Some(request) = state.requests.get_mut(&self.id) else { return };
            let less = less.min(request.held);
            request.held -= less;
            request.has_progressed(less);
            state.free += less;
            if request.revoked.is_cancelled() {
                state.ending -= less.min(state.ending);
            }
        });
        self.budget.freed.notify_waiters();
    }

    /// Waits for the client: until `step` is done, or others need the share.
    pub async fn wait_for_client<T>(&self, step: impl Future<Output = T>) -> Result<T, Exhausted> {
        self.enter(Phase::Client);
        let done = tokio::select! {
            done = step => Ok(done),
            () = self.revoked.cancelled() => Err(Exhausted),
        };
        self.enter(Phase::Busy);
        done
    }

    /// Notes that the client has taken `bytes`.
    pub fn has_progressed(&self, bytes: usize) {
        self.budget.with(|state| {
            if let Some(request) = state.requests.get_mut(&self.id) {
                request.has_progressed(bytes);
            }
        });
    }

    fn enter(&self, phase: Phase) {
        self.budget.with(|state| {
            if let Some(request) = state.requests.get_mut(&self.id) {
                request.phase = phase;
            }
        });
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.with(|state| {
            let Some(request) = state.requests.remove(&self.id) else { return };
            state.free += request.held;
            if request.revoked.is_cancelled() {
                state.ending -= request.held.min(state.ending);
            }
        });
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn budget(size: usize) -> &'static Budget {
        Box::leak(Box::new(Budget::new(size)))
    }

    fn free(budget: &Budget) -> usize {
        budget.with(|state| state.free)
    }

    #[tokio::test]
    async fn a_share_is_given_back() {
        let budget = budget(100);
        let share = Share::of(budget, 80);
        share.grow(80).await.unwrap();
        share.shrink(30);
        assert_eq!(free(budget), 50);
        drop(share);
        assert_eq!(free(budget), 100);
    }

    #[tokio::test]
    async fn a_small_request_comes_before_large_ones_that_wait() {
        let budget = budget(100);
        let large: Vec<Share> = (0..2).map(|_| Share::of(budget, 90)).collect();
        large[0].grow(50).await.unwrap();
        large[1].grow(50).await.unwrap();
        let [first, second] = <[Share; 2]>::try_from(large).ok().unwrap();
        let first = tokio::spawn(async move { first.grow(20).await.map(|()| first) });
        let second = tokio::spawn(async move { second.grow(20).await.map(|()| second) });
        // The second is last in line, so the first gets what it held.
        let first = first.await.unwrap().unwrap();
        assert!(second.await.unwrap().is_err());
        let small = Share::of(budget, 10);
        small.grow(10).await.unwrap();
        drop((first, small));
        assert_eq!(free(budget), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_finds_the_budget_exhausted_is_refused_after_a_while() {
        let budget = budget(100);
        let busy = Share::of(budget, 100);
        busy.grow(100).await.unwrap();
        let waiting = Share::of(budget, 1);
        assert!(waiting.grow(1).await.is_err());
        drop(busy);
        waiting.grow(1).await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_client_loses_its_share_to_others() {
        let budget = budget(100);
        let idle = Share::of(budget, 10);
        idle.grow(100).await.unwrap();
        let idle = tokio::spawn(async move { idle.wait_for_client(std::future::pending::<()>()).await });
        let active = Share::of(budget, 1000);
        active.grow(60).await.unwrap();
        assert!(idle.await.unwrap().is_err());
    }
}
