//! The walk over the paths of a transfer.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use admin_api::{NoteLevel, Unit};
use nix_formats::{StorePath, StorePathHash};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::tally::{Fate, Tally};
use crate::jobs::JobError;
use crate::jobs::job::Reporter;

/// Paths that are transferred at once, unless an operator says otherwise.
const DEFAULT_JOBS: u32 = 8;
/// The most of them.
const MOST_JOBS: u32 = 64;

/// What transfers single paths.
pub(in crate::jobs) trait Carrier: Send + Sync + 'static {
    /// Transfers a path. Fails only if the transfer as a whole cannot go on.
    fn carry(&self, hash: StorePathHash) -> impl Future<Output = Result<Done, JobError>> + Send;

    /// Cancelled when the paths that are under way are to end.
    fn stop_token(&self) -> &CancellationToken;

    /// The bytes of files that were transferred so far.
    fn bytes(&self) -> u64;

    /// What is done to a path, as in "was not …".
    const VERB: &'static str;
}

/// What became of a path, and what it refers to as far as that is known.
pub(in crate::jobs) struct Done {
    pub(in crate::jobs) fate: Fate,
    pub(in crate::jobs) references: Vec<StorePath>,
}

/// The walk.
pub(in crate::jobs) struct Walk<'a, C> {
    carrier: Arc<C>,
    reporter: &'a Reporter,
    jobs: usize,
    /// Whether to go on to what the paths refer to.
    closure: bool,
    waiting: VecDeque<StorePathHash>,
    /// 20 bytes and a little for each path, as long as the job runs.
    seen: HashSet<StorePathHash>,
    tally: Tally,
}

impl<'a, C: Carrier> Walk<'a, C> {
    /// A walk over these paths, `jobs` at a time, and over what they refer to if `closure`.
    pub(in crate::jobs) fn new(
        carrier: C,
        reporter: &'a Reporter,
        jobs: Option<u32>,
        closure: bool,
        paths: Vec<StorePathHash>,
    ) -> Self {
        let mut walk = Self {
            carrier: Arc::new(carrier),
            reporter,
            jobs: jobs.unwrap_or(DEFAULT_JOBS).clamp(1, MOST_JOBS) as usize,
            closure,
            waiting: VecDeque::with_capacity(paths.len()),
            seen: HashSet::with_capacity(paths.len()),
            tally: Tally::default(),
        };
        walk.add(paths);
        walk
    }

    fn add(&mut self, hashes: impl IntoIterator<Item = StorePathHash>) {
        for hash in hashes {
            if self.seen.insert(hash) {
                self.waiting.push_back(hash);
            }
        }
    }

    /// Transfers all of them. Ends with the first failure of the transfer as a whole, or when the job is to stop.
    pub(in crate::jobs) async fn run(mut self) -> Result<Tally, JobError> {
        let mut running = JoinSet::new();
        let mut done = 0;
        self.show(done);
        loop {
            while running.len() < self.jobs
                && self.reporter.check().is_ok()
                && let Some(hash) = self.waiting.pop_front()
            {
                let carrier = self.carrier.clone();
                running.spawn(async move { carrier.carry(hash).await });
            }
            let Some(ended) = running.join_next().await else { break };
            match ended.unwrap_or_else(|_| Err(JobError::Failed(crate::jobs::panicked()))) {
                Ok(ended) => {
                    done += 1;
                    self.note(ended);
                }
                Err(error) => {
                    self.carrier.stop_token().cancel();
                    while running.join_next().await.is_some() {}
                    return Err(error);
                }
            }
            self.show(done);
        }
        self.reporter.check()?;
        Ok(self.tally)
    }

    fn note(&mut self, Done { fate, references }: Done) {
        if let Fate::Skipped { path, reason } = &fate {
            self.reporter.note(NoteLevel::Warn, format!("{path} was not {}: {reason}", C::VERB));
        }
        self.tally.add(fate);
        if self.closure {
            self.add(references.iter().map(|path| *path.hash()));
        }
    }

    fn show(&self, done: u64) {
        let message = format!("{} MB transferred", self.carrier.bytes() / 1_000_000);
        self.reporter.begin(Some(message), Unit::Paths, done, Some(self.seen.len() as u64));
    }
}
