//! Which paths a cache holds, in memory, and the narinfo replies that were asked for lately.
//!
//! This is what makes a narinfo hit and a miss cost no query. Memory: 29 to 39 bytes for each path held (see `PathSet`), plus
//! the rendered replies, which are bounded by `server.narinfo-memory` over all caches.
//!
//! After the start the set is filled while the cache is served already. Until it is complete, what it lacks may be in the catalog
//! nevertheless ([`Presence::Unsure`]).
//!
//! Where several daemons share the catalog, the set is loaded again whenever changes may have been missed, while it is in
//! use: every path carries a mark that says whether it was seen since that began ([`Index::begin_reload`]).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use catalog::{CacheId, UnixTime};
use http::HeaderValue;
use nix_formats::StorePathHash;
use parking_lot::{Mutex, RwLock};
use tokio::sync::SetOnce;

use super::path_set::PathSet;
use super::recent::Recent;
use super::storages::{CacheStorage, any_answers};

/// Number of independently locked parts of the set of paths. Many, as one that grows is rebuilt while it is locked.
const SHARDS: usize = 256;
/// A path's time of use is noted at most once in this many minutes.
const TOUCH_INTERVAL_MINUTES: u32 = 10;
/// A use is noted at the latest so many minutes after an earlier one that was: the reply and the path each wait.
const NOTED_WITHIN_MINUTES: u32 = 2 * TOUCH_INTERVAL_MINUTES;
/// The bit beside a path's minute that says that it was inserted since the last reload began.
const SEEN: u32 = 1 << 31;
/// The last minute that can be noted, in some thousand years.
const LAST_MINUTE: u32 = !SEEN - 1;
/// Bytes that a cached reply takes beyond its text: key, headers, and the cache's own bookkeeping.
const REPLY_OVERHEAD: u64 = 256;

/// A narinfo, ready to be sent.
pub struct NarinfoReply {
    /// The text.
    pub body: Bytes,
    /// Strong entity tag, quoted.
    pub etag: HeaderValue,
    /// Where the NAR is that it promises.
    pub storage: Arc<CacheStorage>,
    /// Where else it is.
    others: Box<[Arc<CacheStorage>]>,
    touched_minute: AtomicU32,
}

impl NarinfoReply {
    /// A reply with this text and entity tag, for a NAR on `storage`.
    pub fn new(body: Bytes, etag: HeaderValue, storage: Arc<CacheStorage>) -> Self {
        Self { body, etag, storage, others: Box::default(), touched_minute: AtomicU32::new(0) }
    }

    /// The same for a NAR that lies on `others` as well.
    pub fn with_copies(self, others: Vec<Arc<CacheStorage>>) -> Self {
        Self { others: others.into(), ..self }
    }

    /// Whether the NAR can be had from a storage, if that takes no waiting.
    pub fn can_be_read_now(&self, now: UnixTime) -> Option<bool> {
        let at_home = self.storage.can_be_read_now(now);
        if at_home == Some(true) || self.others.is_empty() {
            return at_home;
        }
        let others = self.others.iter().map(|storage| storage.can_be_read_now(now));
        others.fold(at_home, |known, other| match (known, other) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            _ => Some(false),
        })
    }

    /// Whether the NAR can be had from a storage. Asks them where they have not been heard of lately.
    pub async fn can_be_read(&self) -> bool {
        if self.others.is_empty() {
            return self.storage.ask().await;
        }
        any_answers(std::iter::once(&self.storage).chain(&self.others)).await
    }
}

type ReplyKey = (CacheId, StorePathHash);

/// Weighs a rendered reply by the memory it takes.
#[derive(Clone)]
pub struct ReplyWeight;

impl quick_cache::Weighter<ReplyKey, Arc<NarinfoReply>> for ReplyWeight {
    fn weight(&self, _: &ReplyKey, reply: &Arc<NarinfoReply>) -> u64 {
        reply.body.len() as u64 + REPLY_OVERHEAD
    }
}

/// The rendered replies of all caches.
pub type ReplyCache = quick_cache::sync::Cache<ReplyKey, Arc<NarinfoReply>, ReplyWeight>;

/// A reply cache that holds at most `bytes`.
pub fn reply_cache(bytes: u64) -> Arc<ReplyCache> {
    let estimated_items = usize::try_from(bytes / 1024).unwrap_or(usize::MAX).max(64);
    Arc::new(ReplyCache::with_weighter(estimated_items, bytes, ReplyWeight))
}

/// The index of one cache.
pub struct Index {
    cache: CacheId,
    /// Held paths, with the minute (since the epoch) in which their use was last noted, and [`SEEN`].
    shards: [RwLock<PathSet>; SHARDS],
    replies: Arc<ReplyCache>,
    /// Set once all paths were loaded.
    complete: SetOnce<()>,
    /// Held while paths are loaded.
    pub(super) loading: tokio::sync::Mutex<()>,
    /// Counts removals, so that a reply rendered before one is not cached after it.
    removals: AtomicU64,
    /// What was hidden since the reload that is under way began: the catalog may have been read before that.
    hidden: Mutex<Option<HashSet<StorePathHash>>>,
    touched: Mutex<HashMap<StorePathHash, UnixTime>>,
    ahead_of_feed: Mutex<Recent>,
    /// Held from recording a path in the catalog to showing it here, and exclusively while paths are deleted: else one that
    /// was recorded just before it was deleted could be shown just after.
    pub recording: tokio::sync::RwLock<()>,
    /// Called with every path that comes or goes.
    changes: OnceLock<Box<dyn Fn(StorePathHash) + Send + Sync>>,
}

/// Whether a cache holds a path, as far as the index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It holds it.
    Held,
    /// It does not.
    Absent,
    /// The catalog has to be asked, as the index is not complete yet.
    Unsure,
}

/// What became of a path that was to be hidden because nobody uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HiddenUnused {
    /// It is hidden now.
    Hidden,
    /// It was not visible.
    Absent,
    /// It is used, and visible as before.
    InUse,
}

/// Minutes since the epoch, with room for a mark.
fn minute_of(time: UnixTime) -> u32 {
    // Below what would stand for no path with the mark.
    u32::try_from(time.0.max(0) / 60).unwrap_or(u32::MAX).min(LAST_MINUTE)
}

/// Proof that a reply was rendered from a state not older than this.
#[derive(Clone, Copy)]
pub struct Generation(u64);

impl Index {
    /// An empty index for `cache` that keeps its replies in `replies`.
    pub fn new(cache: CacheId, replies: Arc<ReplyCache>) -> Self {
        Self {
            cache,
            shards: std::array::from_fn(|_| RwLock::default()),
            replies,
            complete: SetOnce::new(),
            loading: tokio::sync::Mutex::default(),
            removals: AtomicU64::new(0),
            hidden: Mutex::default(),
            touched: Mutex::default(),
            ahead_of_feed: Mutex::default(),
            recording: tokio::sync::RwLock::new(()),
            changes: OnceLock::new(),
        }
    }

    fn shard(&self, hash: &StorePathHash) -> &RwLock<PathSet> {
        // Store path hashes are uniformly distributed, so any byte of theirs is a hash already. Within a shard, the first ones count.
        &self.shards[usize::from(hash.as_bytes()[StorePathHash::LEN - 1])]
    }

    /// Whether the cache holds the path, as far as is known.
    pub fn look(&self, hash: &StorePathHash) -> Presence {
        // Looked at first: what is loaded meanwhile is found then.
        let is_complete = self.complete.initialized();
        if self.contains(hash) {
            Presence::Held
        } else if is_complete {
            Presence::Absent
        } else {
            Presence::Unsure
        }
    }

    /// Whether the cache may hold the path: it does, or the index is not complete yet. For what the catalog named already.
    pub fn may_hold(&self, hash: &StorePathHash) -> bool {
        self.look(hash) != Presence::Absent
    }

    /// Whether all paths are loaded.
    pub fn is_complete(&self) -> bool {
        self.complete.initialized()
    }

    /// Waits until all paths are loaded.
    pub async fn completed(&self) {
        self.complete.wait().await;
    }

    /// Whether the path is known to be held.
    pub fn contains(&self, hash: &StorePathHash) -> bool {
        self.shard(hash).read().get(hash).is_some()
    }

    /// Number of paths held.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// Whether the cache holds no path.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `tell` from now on with every path that comes or goes. Only the first call counts.
    pub fn tell_changes_to(&self, tell: impl Fn(StorePathHash) + Send + Sync + 'static) {
        let _ = self.changes.set(Box::new(tell));
    }

    /// Called without any lock held.
    fn changed(&self, hash: StorePathHash) {
        if let Some(tell) = self.changes.get() {
            tell(hash);
        }
    }

    /// The paths held, in no order.
    pub fn paths(&self) -> Vec<StorePathHash> {
        let mut paths = Vec::with_capacity(self.len());
        for shard in &self.shards {
            paths.extend(shard.read().paths());
        }
        paths
    }

    /// Returns the paths whose hashes begin with this text, in order, but no more than `most`. Looks at every path.
    pub fn find_by_prefix(&self, prefix: &str, most: usize) -> Vec<StorePathHash> {
        let missing = StorePathHash::TEXT_LEN.saturating_sub(prefix.len());
        let bound = |fill: &str| format!("{prefix}{}", fill.repeat(missing)).parse::<StorePathHash>();
        let (Ok(first), Ok(last)) = (bound("0"), bound("z")) else { return Vec::new() };
        let is_between = |hash: &StorePathHash| hash.cmp_text(&first).is_ge() && hash.cmp_text(&last).is_le();
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.read();
            found.extend(shard.paths().filter(|hash| is_between(hash)));
        }
        found.sort_unstable_by(StorePathHash::cmp_text);
        found.truncate(most);
        found
    }

    /// Makes a path visible.
    pub fn insert(&self, hash: StorePathHash) {
        let mut shard = self.shard(&hash).write();
        let (noted, is_new) = shard.entry(&hash);
        *noted.get_mut() |= SEEN;
        drop(shard);
        if is_new {
            self.changed(hash);
        }
    }

    /// Makes a path visible that was just recorded in a catalog which other daemons change too, or just read from it. Older
    /// changes of it may yet be heard, see [`Index::is_ahead_of_feed`].
    pub fn insert_ahead_of_feed(&self, hash: StorePathHash) {
        self.ahead_of_feed.lock().insert(hash);
        self.insert(hash);
    }

    /// Whether a change of the path that is heard now may be older than what is known of it, so that the catalog has to be
    /// asked.
    pub fn is_ahead_of_feed(&self, hash: &StorePathHash) -> bool {
        self.ahead_of_feed.lock().contains(hash)
    }

    /// Makes a path visible that was read from the catalog for a reload, unless it was hidden since that began.
    pub fn insert_loaded(&self, hash: StorePathHash) {
        let mut shard = self.shard(&hash).write();
        let hidden = self.hidden.lock();
        if !hidden.as_ref().is_some_and(|hidden| hidden.contains(&hash)) {
            *shard.entry(&hash).0.get_mut() |= SEEN;
        }
    }

    /// Notes that a path was hidden. Called with its shard locked.
    fn note_hidden(&self, hash: &StorePathHash) {
        let mut hidden = self.hidden.lock();
        if let Some(hidden) = hidden.as_mut() {
            hidden.insert(*hash);
        }
    }

    /// Begins to load the set again: what is not inserted from here on goes with [`Index::end_reload`].
    pub fn begin_reload(&self) {
        *self.hidden.lock() = Some(HashSet::new());
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.numbers().for_each(|noted| *noted &= !SEEN);
        }
    }

    /// Hides all paths that were not inserted since the reload began, and forgets all replies.
    pub fn end_reload(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.retain(|noted| noted & SEEN != 0);
        }
        *self.hidden.lock() = None;
        // Only the first time is of interest.
        let _ = self.complete.set(());
        self.forget_replies();
    }

    /// Forgets all rendered replies.
    pub fn forget_replies(&self) {
        self.removals.fetch_add(1, Ordering::SeqCst);
        self.replies.retain(|(cache, _), _| *cache != self.cache);
    }

    /// Hides a path that was not used since `cutoff`. Uses are noted now and then only, so one that may have been used in
    /// the last minutes stays too. Once a path is hidden here nobody is told that it is there; whoever was told before has
    /// left a note of it.
    pub fn hide_unless_used_since(
        &self,
        hash: &StorePathHash,
        cutoff: UnixTime,
        now: UnixTime,
    ) -> HiddenUnused {
        let cutoff = minute_of(UnixTime(cutoff.0.min(now.0 - i64::from(NOTED_WITHIN_MINUTES) * 60)));
        self.hide_unless(hash, |noted| noted >= cutoff)
    }

    /// Hides a path, however lately it was used.
    pub fn hide(&self, hash: &StorePathHash) -> HiddenUnused {
        self.hide_unless(hash, |_| false)
    }

    fn hide_unless(&self, hash: &StorePathHash, is_in_use: impl Fn(u32) -> bool) -> HiddenUnused {
        let mut shard = self.shard(hash).write();
        match shard.get(hash) {
            None => {
                // It may be about to be loaded.
                self.note_hidden(hash);
                return HiddenUnused::Absent;
            }
            Some(noted) if is_in_use(noted.load(Ordering::Relaxed) & !SEEN) => return HiddenUnused::InUse,
            Some(_) => {}
        }
        shard.remove(hash);
        self.note_hidden(hash);
        drop(shard);
        self.forget_reply(hash);
        self.changed(*hash);
        HiddenUnused::Hidden
    }

    /// Hides a path, or forgets its reply so that it is rendered anew.
    pub fn remove(&self, hash: &StorePathHash) {
        let mut shard = self.shard(hash).write();
        let was_held = shard.remove(hash);
        self.note_hidden(hash);
        drop(shard);
        self.forget_reply(hash);
        if was_held {
            self.changed(*hash);
        }
    }

    /// Forgets the rendered reply of a path whose catalog entry changed.
    pub fn forget_reply(&self, hash: &StorePathHash) {
        self.removals.fetch_add(1, Ordering::SeqCst);
        self.replies.remove(&(self.cache, *hash));
    }

    /// Call before reading what a reply is rendered from.
    pub fn generation(&self) -> Generation {
        Generation(self.removals.load(Ordering::SeqCst))
    }

    /// The rendered reply of a path, if it is in memory. Counts as use.
    pub fn reply(&self, hash: &StorePathHash, now: UnixTime) -> Option<Arc<NarinfoReply>> {
        let reply = self.replies.get(&(self.cache, *hash))?;
        let minute = minute_of(now);
        if minute.saturating_sub(reply.touched_minute.load(Ordering::Relaxed)) >= TOUCH_INTERVAL_MINUTES {
            // The note is made where it is looked for before a path goes.
            if !self.touch(hash, now) {
                return None;
            }
            reply.touched_minute.store(minute, Ordering::Relaxed);
        }
        Some(reply)
    }

    /// Keeps a rendered reply, unless something was removed since `generation`.
    pub fn keep_reply(&self, hash: StorePathHash, reply: Arc<NarinfoReply>, generation: Generation) {
        self.replies.insert((self.cache, hash), reply);
        if self.removals.load(Ordering::SeqCst) != generation.0 {
            self.replies.remove(&(self.cache, hash));
        }
    }

    /// Whether the path is known to be held; if so, that counts as use.
    pub fn touch(&self, hash: &StorePathHash, now: UnixTime) -> bool {
        let shard = self.shard(hash).read();
        let Some(minute) = shard.get(hash) else { return false };
        self.note_use(hash, minute, now);
        true
    }

    fn note_use(&self, hash: &StorePathHash, noted: &AtomicU32, now: UnixTime) {
        let minute = minute_of(now);
        let known = noted.load(Ordering::Relaxed);
        if minute.saturating_sub(known & !SEEN) < TOUCH_INTERVAL_MINUTES {
            return;
        }
        // The mark changes under the shard's exclusive lock only, so it stays what it was.
        noted.store(known & SEEN | minute, Ordering::Relaxed);
        self.touched.lock().insert(*hash, now);
    }

    /// Returns how many uses were noted since the last [`Self::take_touched`].
    pub fn count_touched(&self) -> usize {
        self.touched.lock().len()
    }

    /// Takes the uses noted since the last call.
    pub fn take_touched(&self) -> Vec<(CacheId, StorePathHash, UnixTime)> {
        let touched = std::mem::take(&mut *self.touched.lock());
        touched.into_iter().map(|(hash, time)| (self.cache, hash, time)).collect()
    }

    /// Takes back uses that could not be written down, for the next attempt. Later ones that were noted meanwhile count.
    pub fn put_touched_back(&self, uses: Vec<(CacheId, StorePathHash, UnixTime)>) {
        let mut touched = self.touched.lock();
        for (_, hash, time) in uses {
            touched.entry(hash).or_insert(time);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn hash(number: u8) -> StorePathHash {
        StorePathHash::from_bytes([number; 20])
    }

    fn index_of(numbers: &[u8]) -> Index {
        let index = Index::new(CacheId(1), reply_cache(1 << 20));
        numbers.iter().for_each(|number| index.insert(hash(*number)));
        index
    }

    #[test]
    fn a_reload_keeps_what_it_finds_and_what_is_inserted_meanwhile() {
        let index = index_of(&[1, 2, 3]);
        index.begin_reload();
        // All of it is served until the reload is through.
        assert!((1..=3).all(|number| index.contains(&hash(number))));
        index.insert(hash(1));
        assert!(index.touch(&hash(1), NOW) && index.touch(&hash(2), NOW));
        index.insert(hash(4));
        index.insert(hash(3));
        index.remove(&hash(3));
        index.end_reload();
        let held: Vec<u8> = (1..=4).filter(|number| index.contains(&hash(*number))).collect();
        assert_eq!(held, [1, 4]);
    }

    #[test]
    fn what_is_not_loaded_yet_may_be_in_the_catalog() {
        let index = index_of(&[]);
        index.begin_reload();
        index.insert_loaded(hash(1));
        assert_eq!(index.look(&hash(1)), Presence::Held);
        assert_eq!(index.look(&hash(2)), Presence::Unsure);
        // Collected before it was loaded.
        assert_eq!(index.hide_unless_used_since(&hash(3), NOW, NOW), HiddenUnused::Absent);
        index.insert_loaded(hash(3));
        index.end_reload();
        assert_eq!(
            [1, 2, 3].map(|number| index.look(&hash(number))),
            [Presence::Held, Presence::Absent, Presence::Absent,]
        );
    }

    #[test]
    fn what_is_hidden_during_a_reload_does_not_come_back_with_it() {
        let index = index_of(&[1, 2, 3]);
        index.begin_reload();
        index.remove(&hash(1));
        assert_eq!(index.hide_unless_used_since(&hash(2), NOW, NOW), HiddenUnused::Hidden);
        index.remove(&hash(3));
        index.insert(hash(3));
        (1..=4).for_each(|number| index.insert_loaded(hash(number)));
        index.end_reload();
        let held: Vec<u8> = (1..=4).filter(|number| index.contains(&hash(*number))).collect();
        assert_eq!(held, [3, 4], "3 was pushed again");
        index.insert_loaded(hash(1));
        assert!(index.contains(&hash(1)), "the note is for one reload");
    }

    #[test]
    fn a_reload_that_failed_is_begun_anew() {
        let index = index_of(&[1, 2]);
        index.begin_reload();
        index.insert(hash(1));
        index.begin_reload();
        index.insert(hash(2));
        index.end_reload();
        assert!(!index.contains(&hash(1)) && index.contains(&hash(2)));
    }

    #[test]
    fn use_is_noted_once_in_a_while_whatever_the_mark() {
        let index = index_of(&[1]);
        assert!(index.touch(&hash(1), NOW) && index.touch(&hash(1), NOW));
        assert_eq!(index.take_touched(), [(CacheId(1), hash(1), NOW)]);
        index.begin_reload();
        index.insert(hash(1));
        index.end_reload();
        assert!(index.touch(&hash(1), NOW));
        assert!(index.take_touched().is_empty());
    }

    #[test]
    fn uses_that_could_not_be_written_down_are_kept_unless_later_ones_came() {
        let index = index_of(&[1, 2]);
        assert!(index.touch(&hash(1), NOW) && index.touch(&hash(2), NOW));
        let uses = index.take_touched();
        let later = UnixTime(NOW.0 + 3600);
        assert!(index.touch(&hash(2), later));
        index.put_touched_back(uses);
        let mut kept = index.take_touched();
        kept.sort();
        assert_eq!(kept, [(CacheId(1), hash(1), NOW), (CacheId(1), hash(2), later)]);
    }

    fn ago(seconds: i64) -> UnixTime {
        UnixTime(NOW.0 - seconds)
    }

    #[test]
    fn only_what_is_not_used_is_hidden() {
        let index = index_of(&[1, 2, 3]);
        assert!(index.touch(&hash(2), ago(7200)) && index.touch(&hash(3), ago(3000)));
        let hide = |number| index.hide_unless_used_since(&hash(number), ago(3600), NOW);
        assert_eq!(hide(1), HiddenUnused::Hidden, "it was never used");
        assert_eq!(hide(2), HiddenUnused::Hidden);
        assert_eq!(hide(3), HiddenUnused::InUse);
        assert_eq!(hide(4), HiddenUnused::Absent);
        let held: Vec<u8> = (1..=4).filter(|number| index.contains(&hash(*number))).collect();
        assert_eq!(held, [3]);
        // A second insertion, by a push of what is there, does not forget the use.
        index.insert(hash(3));
        assert_eq!(hide(3), HiddenUnused::InUse);
    }

    #[test]
    fn what_may_have_been_used_without_a_note_is_not_hidden() {
        let index = index_of(&[1]);
        assert!(index.touch(&hash(1), ago(600)));
        assert!(index.touch(&hash(1), ago(60)), "noted ten minutes ago");
        assert_eq!(index.hide_unless_used_since(&hash(1), ago(30), NOW), HiddenUnused::InUse);
    }
}
