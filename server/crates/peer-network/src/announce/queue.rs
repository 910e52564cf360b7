//! What is to be announced, in which order.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::HeldPath;

/// Most news that wait. Beyond that they are left to the next round over everything.
const MOST_NEWS: usize = 500_000;
/// Times that a record is tried in a row.
const TRIES: u8 = 3;

/// A path to tell about.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub path: HeldPath,
    tries: u8,
    routine: bool,
}

impl Job {
    /// Whether it is part of a round over everything, and not news.
    pub fn is_routine(&self) -> bool {
        self.routine
    }
}

/// News first, then the current round.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    woken: Notify,
}

#[derive(Default)]
struct Inner {
    news: VecDeque<Job>,
    /// The paths in `news`, so that none is there twice.
    queued: HashSet<HeldPath>,
    round: Vec<HeldPath>,
    round_began_with: usize,
    /// The path of a round that was taken last.
    reached: Option<HeldPath>,
}

impl Queue {
    /// Adds news.
    pub fn push(&self, path: HeldPath) {
        self.add(Job { path, tries: 0, routine: false });
    }

    /// Puts back a job that nobody was there for.
    pub fn push_again(&self, job: Job) {
        self.add(job);
    }

    /// Puts back a job that failed, unless it has failed often enough.
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

    /// Begins a round. What is left of the one before is in it and comes first: however often rounds begin, every path
    /// has its turn.
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

    /// Waits until something was added.
    pub async fn wait(&self) {
        self.woken.notified().await;
    }

    /// How many wait, and how many the current round began with.
    pub fn lengths(&self) -> (u64, u64) {
        let inner = self.lock();
        ((inner.news.len() + inner.round.len()) as u64, inner.round_began_with as u64)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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
