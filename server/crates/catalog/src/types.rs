//! Row ids and time: small values that must not be mixed up.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sea_orm::DeriveValueType;
use uuid::Uuid;

/// The id of a cache. It stays the same while the cache is disabled and enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct CacheId(pub i64);

/// The id of a storage of one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct StorageId(pub i64);

/// The id of a compressed NAR file of one cache. Ids are never reused. A file that is replaced or moved gets a new row, so an
/// old id refers to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct NarId(pub i64);

/// The id of a store path of one cache. Ids are never reused. A path that is healed gets a new row, so the id of its damaged
/// predecessor refers to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct PathId(pub i64);

/// A position in the list of paths that wait to be published. A path that is added again gets a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct PublishTicket(pub i64);

/// The id of a tombstone: a store path that was removed from its cache and whose files are still to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct TombstoneId(pub i64);

/// The id of a further copy of a NAR file, or of the wish for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct CopyId(pub i64);

/// The id of a path in the trash. Paths that were removed later have higher ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct TrashId(pub i64);

/// The id of a deploy workspace. It stays the same while the workspace is disabled and enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct WorkspaceId(pub i64);

/// The UUID by which clients know a deploy agent. It never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(pub Uuid);

/// The UUID by which clients know a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeploymentId(pub Uuid);

/// A point in time: whole seconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct UnixTime(pub i64);

/// A moment on a clock that nobody can set, to count from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The earliest that the time can have been at [`START`], in milliseconds: see [`UnixTime::never_before`].
static EARLIEST_AT_START: AtomicI64 = AtomicI64::new(0);

/// Returns how many milliseconds have passed since [`START`].
fn since_start() -> i64 {
    i64::try_from(START.elapsed().as_millis()).unwrap_or(i64::MAX)
}

impl UnixTime {
    /// Returns the time of the system clock, but never one before [`UnixTime::never_before`]. Records carry this time.
    pub fn now() -> Self {
        let earliest = EARLIEST_AT_START.load(Ordering::Relaxed).saturating_add(since_start());
        Self::of_system_clock().max(Self(earliest.div_euclid(1000)))
    }

    /// Declares that it is `earliest` now, or later: [`UnixTime::now`] goes on from there in this process, whatever the system
    /// clock shows. Then a path pushed while the clock is behind is not old once the clock is right, and what has expired
    /// stays so.
    pub fn never_before(earliest: Self) {
        EARLIEST_AT_START.fetch_max(earliest.at_start(), Ordering::Relaxed);
    }

    /// Resets [`UnixTime::never_before`] to `earliest` after the system clock was corrected.
    pub fn reset_never_before(earliest: Self) {
        EARLIEST_AT_START.store(earliest.at_start(), Ordering::Relaxed);
    }

    /// Returns what the time was at [`START`] if it is this one now, in milliseconds.
    fn at_start(self) -> i64 {
        self.0.saturating_mul(1000).saturating_sub(since_start())
    }

    /// Returns the time of the system clock, 0 if it is set before 1970.
    pub fn of_system_clock() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}
