//! The digest of this node, and what was added to it lately.

use nix_formats::StorePathHash;

use super::{Digest, DigestMessage};

/// Additions that are kept for those who have an earlier version. Whoever is further behind gets the whole digest.
const MOST_ADDED: usize = 65_536;

/// The digest of this node. It is built anew when too many of the paths in it have gone, or more have come than there is
/// room for.
#[derive(Debug)]
pub struct DigestLog {
    epoch: u64,
    digest: Digest,
    /// Paths that there is room for, and that it has.
    room: usize,
    paths: usize,
    /// The additions, of which as many were forgotten.
    added: Vec<StorePathHash>,
    forgotten: u64,
    removed: usize,
}

impl DigestLog {
    /// The digest of these paths. `epoch` has to be another number each time.
    pub fn of(epoch: u64, paths: &[StorePathHash]) -> Self {
        // Twice the room, so that it lasts for a while.
        let room = paths.len().saturating_mul(2).max(super::SMALLEST);
        let mut digest = Digest::with_room_for(room);
        paths.iter().for_each(|path| digest.insert(path));
        Self { epoch, digest, room, paths: paths.len(), added: Vec::new(), forgotten: 0, removed: 0 }
    }

    /// Notes that a path came.
    pub fn add(&mut self, path: StorePathHash) {
        self.digest.insert(&path);
        self.paths += 1;
        if self.added.len() == MOST_ADDED {
            self.added.drain(..MOST_ADDED / 2);
            self.forgotten += MOST_ADDED as u64 / 2;
        }
        self.added.push(path);
    }

    /// Notes that a path went. The digest names it until it is built anew, which costs others a question.
    pub fn remove(&mut self) {
        self.removed += 1;
    }

    /// Whether it should be built anew.
    pub fn is_worn(&self) -> bool {
        self.paths > self.room || self.removed > self.paths / 8 + 64
    }

    /// What somebody needs who has this version; 0 and 0 for none.
    pub fn since(&self, epoch: u64, position: u64) -> DigestMessage {
        let now = self.forgotten + self.added.len() as u64;
        let known = position.checked_sub(self.forgotten).and_then(|known| usize::try_from(known).ok());
        match known.and_then(|known| self.added.get(known..)) {
            Some(paths) if epoch == self.epoch => {
                DigestMessage::Added { epoch, position: now, paths: paths.to_vec() }
            }
            _ => DigestMessage::Whole { epoch: self.epoch, position: now, digest: self.digest.clone() },
        }
    }
}
