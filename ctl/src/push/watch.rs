//! Pushes what appears in the store.
//!
//! The modification time of the store's directory changes with every path that is added, so between changes only that is
//! looked at: no service of the operating system is needed, and it works on every filesystem.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use admin_api::NoteLevel;
use nix_formats::{STORE_DIR, StorePath};
use tokio::signal::unix::{SignalKind, signal};

use super::error::PushError;
use super::run::{Pusher, Summary};
use super::store::Store;
use crate::error::Error;
use crate::follow::View;

/// How often the store is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often paths that were not valid yet are looked at again. A path is there before Nix registers it.
const RECHECK: Duration = Duration::from_secs(5);
/// How long to wait after a push that failed as a whole.
const PAUSE: Duration = Duration::from_secs(15);

/// Pushes every path that becomes valid from now on, with its closure, until the process is told to stop; then ends what is
/// under way. Calls `report` after each push.
///
/// # Errors
///
/// If the store cannot be read, or the server will never accept a push.
pub async fn watch(
    pusher: &Pusher,
    view: &mut View,
    mut report: impl FnMut(&Summary) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut entries = Entries::new(Path::new(STORE_DIR)).map_err(unreadable)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
    let mut tick = tokio::time::interval(INTERVAL);
    view.note(NoteLevel::Info, "Watching the store. Ctrl-C stops after the uploads that are under way.");
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
        let valid = entries.find_valid(&pusher.store).await?;
        if valid.is_empty() {
            continue;
        }
        // A signal that comes meanwhile is kept by its stream and ends the next round.
        match pusher.push(&valid, false, view).await {
            Ok(summary) => {
                view.pause();
                report(&summary)?;
            }
            Err(error) if error.may_pass() || matches!(error, PushError::Nix { .. }) => {
                view.note(NoteLevel::Warn, &format!("{}; trying again", error.chain()));
                entries.retry(valid);
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    _ = interrupt.recv() => return Ok(()),
                    _ = terminate.recv() => return Ok(()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The entries of the store, old and new.
struct Entries {
    store: PathBuf,
    modified: SystemTime,
    /// Whether the time was old enough when the list was made: what is added within one tick of the clock does not change it.
    is_settled: bool,
    known: BTreeSet<String>,
    /// New paths that were not valid so far.
    pending: BTreeSet<StorePath>,
    checked: Instant,
}

impl Entries {
    fn new(store: &Path) -> io::Result<Self> {
        // Before the list, so that what is added while it is read is seen as a change.
        let modified = store.metadata()?.modified()?;
        Ok(Self {
            store: store.to_owned(),
            modified,
            is_settled: is_settled(modified),
            known: names(store)?,
            pending: BTreeSet::new(),
            checked: Instant::now(),
        })
    }

    /// Returns the paths that have become valid.
    async fn find_valid(&mut self, store: &Store) -> Result<Vec<StorePath>, Error> {
        let modified = self.store.metadata().and_then(|metadata| metadata.modified()).map_err(unreadable)?;
        let has_changed = modified != self.modified || !self.is_settled;
        if has_changed {
            (self.modified, self.is_settled) = (modified, is_settled(modified));
            let now = names(&self.store).map_err(unreadable)?;
            self.pending.extend(now.difference(&self.known).filter_map(|name| candidate(name)));
            self.pending.retain(|path| now.contains(&path.base_name()));
            self.known = now;
        }
        if self.pending.is_empty() || !(has_changed || self.checked.elapsed() >= RECHECK) {
            return Ok(Vec::new());
        }
        self.checked = Instant::now();
        let pending: Vec<StorePath> = self.pending.iter().cloned().collect();
        let valid = store.valid(&pending).await?;
        valid.iter().for_each(|path| {
            self.pending.remove(path);
        });
        Ok(valid)
    }

    /// Takes paths back that could not be pushed.
    fn retry(&mut self, paths: Vec<StorePath>) {
        self.pending.extend(paths);
    }
}

fn is_settled(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age >= INTERVAL)
}

/// The store path that an entry may be. Derivations and the files by which Nix locks paths are left out.
fn candidate(name: &str) -> Option<StorePath> {
    let is_other = [".drv", ".lock", ".chroot", ".check"].iter().any(|suffix| name.ends_with(suffix));
    if is_other { None } else { StorePath::from_base_name(name).ok() }
}

fn names(store: &Path) -> io::Result<BTreeSet<String>> {
    std::fs::read_dir(store)?
        .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
        .collect()
}

fn unreadable(source: io::Error) -> Error {
    PushError::Unreadable { path: PathBuf::from(STORE_DIR), source }.into()
}
