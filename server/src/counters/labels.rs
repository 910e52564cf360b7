//! Reasons and outcomes that are counted one by one. Each has a word, which is the value of a label.

use std::marker::PhantomData;

use meters::Counter;

/// A closed list of reasons or outcomes.
pub trait Label: Copy + 'static {
    /// All of them, in the order of their numbers.
    const ALL: &'static [Self];

    /// The number of this one, from 0.
    fn number(self) -> usize;

    /// The word for it.
    fn word(self) -> &'static str;
}

/// A counter for each of a list.
pub struct Counters<L, const N: usize> {
    counts: [Counter; N],
    of: PhantomData<fn(L)>,
}

impl<L: Label, const N: usize> Counters<L, N> {
    /// All at 0.
    pub const fn new() -> Self {
        Self { counts: [const { Counter::new() }; N], of: PhantomData }
    }

    /// Counts one more.
    pub fn count(&self, label: L) {
        self.counts[label.number()].increment();
    }

    /// Returns the words, and how often each was counted.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        L::ALL.iter().map(|label| (label.word(), self.counts[label.number()].get()))
    }
}

macro_rules! labels {
    ($(#[$about:meta] $name:ident { $($label:ident = $word:literal,)+ })+) => {
        $(
            #[$about]
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[allow(missing_docs, reason = "the words say it")]
            pub enum $name { $($label,)+ }

            impl $name {
                /// How many there are.
                pub const COUNT: usize = <Self as Label>::ALL.len();
            }

            impl Label for $name {
                const ALL: &'static [Self] = &[$(Self::$label,)+];

                fn number(self) -> usize {
                    self as usize
                }

                fn word(self) -> &'static str {
                    match self { $(Self::$label => $word,)+ }
                }
            }
        )+
    };
}

labels! {
    /// Why a push, or a step of one, was refused or failed.
    PushRefusal {
        UnknownUpload = "unknown-upload",
        TooManyUploads = "too-many-uploads",
        CatalogReadOnly = "catalog-read-only",
        TokenEnded = "token-ended",
        OverDailyLimit = "over-daily-limit",
        Busy = "busy",
        Malformed = "malformed",
        Checksum = "checksum",
        Incomplete = "incomplete",
        Mismatch = "mismatch",
        Corrupt = "corrupt",
        TooLarge = "too-large",
        NarMissing = "nar-missing",
        Contradiction = "contradiction",
        Signature = "signature",
        Full = "full",
        CacheFull = "cache-full",
        StorageFailing = "storage-failing",
        Draining = "draining",
        Disk = "disk",
        Catalog = "catalog",
        Internal = "internal",
    }

    /// Why a credential was refused.
    TokenRefusal {
        Missing = "missing",
        Invalid = "invalid",
        Expired = "expired",
        Revoked = "revoked",
        NotPermitted = "not-permitted",
        Unverifiable = "unverifiable",
        Throttled = "throttled",
    }

    /// A limit that somebody ran into.
    LimitHit {
        Connections = "connections",
        ConnectionEvicted = "connection-evicted",
        Uploads = "uploads",
        UploadsOfToken = "uploads-of-token",
        UploadsOfCache = "uploads-of-cache",
        TokenPerDay = "token-per-day",
        Decoders = "decoders",
        Lookups = "lookups",
    }

    /// How a deployment ended.
    DeploymentEnd {
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
    }

    /// How a job ended.
    JobOutcome {
        Done = "done",
        Failed = "failed",
        Stopped = "stopped",
    }
}
