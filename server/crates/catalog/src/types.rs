//! Row ids and time: small values that must not be mixed up.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sea_orm::DeriveValueType;
use uuid::Uuid;

/// A cache, by its row in the catalog. Disabling and enabling a cache keeps its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct CacheId(pub i64);

/// A storage of one cache, by its row in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct StorageId(pub i64);

/// A compressed NAR file of one cache, by its row in the catalog. Ids are never used again after a deletion, and a file that
/// was replaced or moved is a new row: an id held for where it lay before then refers to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct NarId(pub i64);

/// A store path of one cache, by its row in the catalog. Ids are never used again after a deletion, and a path that was
/// healed is a new row: an id held for its damaged predecessor then refers to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct PathId(pub i64);

/// A place on the list of paths that are to be published. A path that is put on the list again gets a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct PublishTicket(pub i64);

/// A store path that was taken out of its cache and whose files are still to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct TombstoneId(pub i64);

/// A deploy workspace, by its row in the catalog. Disabling and enabling it keeps its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct WorkspaceId(pub i64);

/// A deploy agent, by the UUID that clients know it by. It stays the same whatever becomes of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(pub Uuid);

/// A deployment, by the UUID that clients know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeploymentId(pub Uuid);

/// A point in time: whole seconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
pub struct UnixTime(pub i64);

/// See [`UnixTime::never_before`].
static EARLIEST: AtomicI64 = AtomicI64::new(0);

impl UnixTime {
    /// The time of the system clock, but none before [`UnixTime::never_before`]. What is recorded has this time.
    pub fn now() -> Self {
        Self::of_system_clock().max(Self(EARLIEST.load(Ordering::Relaxed)))
    }

    /// From now on it is this time at least in this process, whatever the system clock says. For a time that has certainly
    /// passed: a path that is pushed while the clock is behind is not old once the clock is right again.
    pub fn never_before(earliest: Self) {
        EARLIEST.fetch_max(earliest.0, Ordering::Relaxed);
    }

    /// Takes [`UnixTime::never_before`] back to `earliest`, as the system clock was set right.
    pub fn reset_never_before(earliest: Self) {
        EARLIEST.store(earliest.0, Ordering::Relaxed);
    }

    /// The time of the system clock. A clock set before 1970 gives 0.
    pub fn of_system_clock() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}
