//! The queue of paths to announce.

use std::collections::{HashSet, VecDeque};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::HeldPath;

/// The most new paths that wait. More are left to the next round over all paths.
const MOST_NEWS: usize = 500_000;
/// How often a record is tried in a row.
const TRIES: u8 = 3;

/// A path to announce.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub path: HeldPath,
    tries: u8,
    routine: bool,
}

impl Job {
    /// Returns whether it is part of a round over all paths, not a new path.
    pub fn is_routine(&self) -> bool {
        self.routine
    }
}

/// New paths first, then the current round.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    woken: Notify,
}

#[derive(Default)]
struct Inner {
    news: VecDeque<Job>,
    /// The paths in `news`, so that none is queued twice.
    queued: HashSet<HeldPath>,
    round: Vec<HeldPath>,
    round_began_with: usize,
    /// The last path of a round that was taken.
    reached: Option<HeldPath>,
}

impl Queue {
    /// Adds a new path.
    pub fn push(&self, path: HeldPath) {
        self.add(Job { path, tries: 0, routine: false });
    }

    /// Puts back a job after no other node was known.
    pub fn push_again(&self, job: Job) {
        self.add(job);
    }

    /// Puts back a failed job unless it has failed too often. Returns whether it did.
    pub fn retry(&self, job: Job) -> bool {
        let again = job.tries + 1 < TRIES;
        if again {
            self.add(Job { tries: job.tries + 1, ..job });
        }
        again
    }

    fn add(&self, job: Job) {
        let mut inner = self.lock();
        if inner.news.len() < MOST_NEWS && inner.queued.insert(job.path) {
            inner.news.push_back(job);
            drop(inner);
            self.woken.notify_one();
        }
    }

    /// Begins a round over all paths, with the rest of the previous round first. So every path has its turn, however often
    /// rounds begin.
    pub fn begin_round(&self, mut paths: Vec<HeldPath>) {
        // Paths are taken from the end.
        paths.sort_unstable_by(|one, other| other.cmp(one));
        let mut inner = self.lock();
        if let Some(reached) = inner.reached {
            let told = paths.partition_point(|path| *path > reached);
            paths.rotate_left(told);
        }
        inner.round_began_with = paths.len();
        inner.round = paths;
        drop(inner);
        self.woken.notify_one();
    }

    pub fn pop(&self) -> Option<Job> {
        let mut inner = self.lock();
        if let Some(job) = inner.news.pop_front() {
            inner.queued.remove(&job.path);
            return Some(job);
        }
        let path = inner.round.pop()?;
        inner.reached = Some(path);
        Some(Job { path, tries: 0, routine: true })
    }

    /// Waits until a job is added.
    pub async fn wait(&self) {
        self.woken.notified().await;
    }

    /// Returns how many jobs wait, and with how many the current round began.
    pub fn lengths(&self) -> (u64, u64) {
        let inner = self.lock();
        ((inner.news.len() + inner.round.len()) as u64, inner.round_began_with as u64)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nix_formats::StorePathHash;

    use super::*;

    fn path(number: u8) -> HeldPath {
        HeldPath { cache: 1, hash: StorePathHash::from_bytes([number; 20]) }
    }

    #[test]
    fn news_come_before_the_round_and_only_once() {
        let queue = Queue::default();
        queue.begin_round(vec![path(1), path(2)]);
        queue.push(path(3));
        queue.push(path(3));
        assert_eq!(queue.lengths(), (3, 2));
        assert_eq!(queue.pop().unwrap().path, path(3));
        assert!(queue.pop().unwrap().is_routine());
        queue.push(path(3));
        assert_eq!(queue.pop().unwrap().path, path(3));
    }

    #[test]
    fn a_round_goes_on_where_the_one_before_was_cut_short() {
        let queue = Queue::default();
        let all: Vec<HeldPath> = (0..6).map(path).collect();
        let mut taken = Vec::new();
        for _ in 0..3 {
            queue.begin_round(all.clone());
            taken.extend([queue.pop().unwrap().path, queue.pop().unwrap().path]);
        }
        assert_eq!(taken, all);
        queue.begin_round(all.clone());
        let rest: Vec<HeldPath> = std::iter::from_fn(|| queue.pop()).map(|job| job.path).collect();
        assert_eq!(rest, all);
    }

    #[test]
    fn a_job_is_tried_three_times() {
        let queue = Queue::default();
        queue.push(path(1));
        let mut tries = 0;
        while let Some(job) = queue.pop() {
            tries += 1;
            queue.retry(job);
        }
        assert_eq!(tries, TRIES);
    }
}
