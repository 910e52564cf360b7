//! One unfinished upload, and the table of all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use catalog::{CacheId, UnixTime};
use nix_formats::{Compression, FileHash};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::digest::{Digest, DigestError, digest, digest_small};
use super::spool::{Attempt, SmallBytes, SmallMemory, Spool};
use super::spool_dirs::StorageSpoolDirs;
use crate::auth::TokenRef;
use crate::cache::{Cache, PushError, blocking};
use crate::limits::decoder_memory::DecoderKind;
use crate::limits::own_thread::{self, Outcome};
use crate::nar_store::{Assembled, NarStore, Parked};

/// Most uploads that may be unfinished at once, over all caches. A token may have half of those that others leave free, and
/// a cache two thirds, so whatever some tokens do, there is room for others: the first token that opens all it can has 6,144,
/// and the second may still open 3,072.
const MAX_OPEN_UPLOADS: usize = 12_288;
/// How long an upload may be open without a byte.
const EMPTY_LIMIT: Duration = Duration::from_secs(600);
/// Most uploads that are digested while they arrive. The others are digested once they are complete.
const MAX_EAGER: usize = 8;

type DigestResult = Result<(Digest, Vec<(u32, Attempt)>), DigestError>;

/// What an upload turned out to be when these parts were read with this compression.
struct Digested {
    parts: Vec<(u32, Attempt)>,
    compression: Compression,
    digest: Digest,
}

/// One upload between its creation and its end.
pub struct Upload {
    /// The `narId` of the protocol.
    pub id: Uuid,
    /// The `uploadId` of the protocol: a second secret besides the id.
    pub upload_id: String,
    /// The cache it goes to.
    pub cache: CacheId,
    /// The token it began with; `None` if that was in an earlier run of the daemon, or if the daemon itself fetches it.
    pub owner: Option<TokenRef>,
    /// How the NAR is compressed, as far as the file name tells.
    pub compression: Compression,
    /// Its bytes.
    pub spool: Arc<Spool>,
    /// Held while a `complete` runs, so that a repeated one waits for the first.
    pub completing: Arc<tokio::sync::Mutex<()>>,
    /// Cancelled when the upload ends: what a client is still sending for it is not waited for.
    pub ended: CancellationToken,
    /// What was stored of it while it could not be recorded.
    pub parked: Parked,
    /// For a client that completes it once more.
    digested: Mutex<Option<Digested>>,
    last_active: AtomicI64,
    eager: Mutex<Option<Outcome<DigestResult>>>,
}

impl Upload {
    /// A new upload of `size` bytes, if that is known.
    pub(super) fn create(
        cache: &Arc<Cache>,
        nar_store: &Arc<NarStore>,
        owner: Option<TokenRef>,
        compression: Compression,
        size: Option<u64>,
    ) -> Self {
        let id = Uuid::new_v4();
        let spools = StorageSpoolDirs::new(cache.clone(), nar_store.clone(), id, size);
        let spool = Spool::new(Box::new(spools));
        Self { owner, ..Self::new(id, cache.id, compression, spool, UnixTime::now()) }
    }

    /// An upload whose bytes are in `spool`.
    pub(super) fn new(
        id: Uuid,
        cache: CacheId,
        compression: Compression,
        spool: Arc<Spool>,
        last_active: UnixTime,
    ) -> Self {
        Self {
            id,
            upload_id: Uuid::new_v4().simple().to_string(),
            cache,
            owner: None,
            compression,
            spool,
            completing: Arc::default(),
            ended: CancellationToken::new(),
            parked: Parked::default(),
            digested: Mutex::default(),
            last_active: AtomicI64::new(last_active.0),
            eager: Mutex::default(),
        }
    }

    /// Notes that the client is still at it.
    pub fn touch(&self) {
        self.last_active.store(UnixTime::now().0, Ordering::Relaxed);
    }

    /// When the client was last active.
    pub fn last_active(&self) -> UnixTime {
        UnixTime(self.last_active.load(Ordering::Relaxed))
    }

    fn is_expired(&self, now: UnixTime, limit: Duration) -> bool {
        let limit = if self.spool.is_empty() { limit.min(EMPTY_LIMIT) } else { limit };
        let idle = now.0.saturating_sub(self.last_active.load(Ordering::Relaxed));
        u64::try_from(idle).is_ok_and(|idle| idle >= limit.as_secs()) && !self.spool.is_busy()
    }

    /// Makes `parts` one piece, in order.
    pub fn assemble(
        &self,
        parts: &[(u32, Attempt)],
    ) -> impl Future<Output = Result<Assembled, PushError>> + Send + use<> {
        let (spool, parts) = (self.spool.clone(), parts.to_vec());
        async move {
            match spool.small_bytes(&parts) {
                Some(bytes) => Ok(Assembled::Memory(bytes.to_bytes())),
                None => Ok(Assembled::File(blocking(move || spool.assemble(&parts)).await??)),
            }
        }
    }

    /// Starts to digest the upload while it arrives, if there is a free slot for that.
    pub fn digest_eagerly(&self, slots: &Arc<Semaphore>) {
        let mut eager = self.eager.lock();
        if eager.is_some() {
            return;
        }
        let Ok(slot) = slots.clone().try_acquire_owned() else { return };
        let (spool, compression) = (self.spool.clone(), self.compression);
        // It waits for the client. Without a thread the upload is digested once it is complete, like most.
        *eager = own_thread::spawn("digest", move || {
            let _slot = slot;
            digest(&spool, compression, DecoderKind::Arriving)
        })
        .ok();
    }

    /// Starts to digest a small upload, whose bytes are all there unless more parts follow, if there is a free slot for that.
    pub fn digest_small(&self, attempt: Attempt, bytes: SmallBytes, slots: &Arc<Semaphore>) {
        let mut eager = self.eager.lock();
        if eager.is_some() {
            return;
        }
        let Ok(slot) = slots.clone().try_acquire_owned() else { return };
        let (spool, compression) = (self.spool.clone(), self.compression);
        let (done, outcome) = oneshot::channel();
        *eager = Some(outcome);
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            // If nobody waits any more, nobody needs it.
            let _ = done.send(digest_small(&spool, (attempt, bytes), compression));
        });
    }

    /// The digest of exactly `parts`. Takes what was digested before if that is what was read, else reads again.
    /// `compression` is what the upload is compressed with, if that was learnt only now.
    pub async fn digest(
        &self,
        parts: &[(u32, Attempt)],
        compression: Compression,
        slots: &Arc<Semaphore>,
    ) -> Result<Digest, PushError> {
        let known = self.digested.lock().take();
        let digest = match known {
            Some(known) if known.parts == parts && known.compression == compression => known.digest,
            _ => self.digest_anew(parts, compression, slots).await?,
        };
        let known = Digested { parts: parts.to_vec(), compression, digest: digest.clone() };
        *self.digested.lock() = Some(known);
        Ok(digest)
    }

    async fn digest_anew(
        &self,
        parts: &[(u32, Attempt)],
        compression: Compression,
        slots: &Arc<Semaphore>,
    ) -> Result<Digest, PushError> {
        let eager = self.eager.lock().take();
        if let Some(eager) = eager {
            match eager.await.map_err(|_| PushError::Internal)? {
                Ok((digest, consumed)) if consumed == parts && compression == self.compression => {
                    return Ok(digest);
                }
                // What was read on the way is not what the client finally named, so its faults do not count either.
                Ok(_)
                | Err(
                    DigestError::Retry | DigestError::Corrupt(_) | DigestError::Busy(_) | DigestError::Io(_),
                ) => {}
                Err(error @ DigestError::TooLarge(_)) => return Err(error.into()),
            }
        }
        loop {
            let slot = slots.clone().acquire_owned().await.map_err(|_| PushError::Internal)?;
            let (lost, spool) = (self.spool.directory(), self.spool.clone());
            let digesting = blocking(move || {
                let _slot = slot;
                digest(&spool, compression, DecoderKind::Stored)
            });
            match digesting.await? {
                // The disk has no room for what is learnt on the way, or is broken: once more, elsewhere.
                Err(DigestError::Io(error)) => {
                    let spool = self.spool.clone();
                    let Some(lost) = lost.or_else(|| spool.directory()) else { return Err(error.into()) };
                    blocking(move || spool.move_on_from(&lost, error)).await??;
                }
                digested => return Ok(digested?.0),
            }
        }
    }
}

/// The table of all unfinished uploads.
pub struct OpenUploads {
    open: Mutex<Open>,
    most: usize,
    /// Slots for digesting uploads while they arrive.
    pub eager_slots: Arc<Semaphore>,
    /// Slots for digesting complete uploads.
    pub digest_slots: Arc<Semaphore>,
    /// Where small uploads are.
    pub small_memory: SmallMemory,
}

#[derive(Default)]
struct Open {
    by_id: HashMap<Uuid, Arc<Upload>>,
    /// Files uploaded in one piece that wait for their narinfo.
    by_file: HashMap<(CacheId, FileHash), Uuid>,
    /// How many there are of each token, by its id.
    by_owner: HashMap<Uuid, usize>,
    /// How many there are in each cache.
    by_cache: HashMap<CacheId, usize>,
}

impl Open {
    fn insert(&mut self, upload: Arc<Upload>) {
        if let Some(owner) = upload.owner {
            *self.by_owner.entry(owner.id()).or_default() += 1;
        }
        *self.by_cache.entry(upload.cache).or_default() += 1;
        self.by_id.insert(upload.id, upload);
    }

    fn remove(&mut self, id: Uuid) -> Option<Arc<Upload>> {
        let upload = self.by_id.remove(&id)?;
        self.by_file.retain(|_, waiting| *waiting != id);
        if let Some(owner) = upload.owner {
            take_one(&mut self.by_owner, owner.id());
        }
        take_one(&mut self.by_cache, upload.cache);
        Some(upload)
    }
}

/// Counts one less.
fn take_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

/// As many as there may be; fewer where the process may not open enough files, as each has one.
fn most_open_uploads() -> usize {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    files.map_or(MAX_OPEN_UPLOADS, |files| (files / 4).clamp(64, MAX_OPEN_UPLOADS))
}

impl Default for OpenUploads {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            open: Mutex::default(),
            most: most_open_uploads(),
            eager_slots: Arc::new(Semaphore::new(MAX_EAGER)),
            digest_slots: Arc::new(Semaphore::new(cores.max(2))),
            small_memory: SmallMemory::default(),
        }
    }
}

impl OpenUploads {
    /// Fails when too many are open already, before any work is done for another.
    pub fn check_room(&self, cache: CacheId, owner: Option<TokenRef>) -> Result<(), PushError> {
        let open = self.lock();
        let owner = owner.map(TokenRef::id);
        let total = open.by_id.len();
        if total >= self.most {
            return Err(PushError::TooManyUploads);
        }
        let of_owner = owner.and_then(|owner| open.by_owner.get(&owner)).copied().unwrap_or(0);
        if owner.is_some() && of_owner >= (self.most - (total - of_owner)) / 2 {
            return Err(PushError::TooManyOfToken);
        }
        let of_cache = open.by_cache.get(&cache).copied().unwrap_or(0);
        if of_cache >= (self.most - (total - of_cache)) / 3 * 2 {
            return Err(PushError::TooManyOfCache);
        }
        Ok(())
    }

    /// Adds an upload.
    pub fn insert(&self, upload: Upload) -> Arc<Upload> {
        let upload = Arc::new(upload);
        self.lock().insert(upload.clone());
        upload
    }

    /// The open upload with these ids in `cache`.
    pub fn find(&self, cache: CacheId, id: Uuid, upload_id: &str) -> Option<Arc<Upload>> {
        use subtle::ConstantTimeEq;
        let upload = self.lock().by_id.get(&id)?.clone();
        let known =
            upload.cache == cache && bool::from(upload.upload_id.as_bytes().ct_eq(upload_id.as_bytes()));
        known.then_some(upload)
    }

    /// The open upload with this id in `cache`, for requests that a signed URL authorises.
    pub fn find_by_id(&self, cache: CacheId, id: Uuid) -> Option<Arc<Upload>> {
        self.lock().by_id.get(&id).filter(|upload| upload.cache == cache).cloned()
    }

    /// Lets an upload wait for the narinfo of the file it brought. Returns an earlier one of the same file, which is not
    /// needed then.
    pub fn await_narinfo(&self, upload: &Upload, file: FileHash) -> Option<Uuid> {
        let replaced = self.lock().by_file.insert((upload.cache, file), upload.id);
        replaced.filter(|replaced| *replaced != upload.id)
    }

    /// The upload that brought this file, if it still waits for a narinfo.
    pub fn find_file(&self, cache: CacheId, file: FileHash) -> Option<Arc<Upload>> {
        let open = self.lock();
        open.by_id.get(open.by_file.get(&(cache, file))?).cloned()
    }

    /// Ends an upload. Its spooled bytes go away with the last reference to it.
    pub fn remove(&self, id: Uuid) {
        let mut open = self.lock();
        let removed = open.remove(id);
        drop(open);
        if let Some(upload) = removed {
            upload.ended.cancel();
            upload.spool.close();
            // The last reference deletes files.
            tokio::task::spawn_blocking(move || drop(upload));
        }
    }

    /// All open uploads.
    pub fn all(&self) -> Vec<Arc<Upload>> {
        self.lock().by_id.values().cloned().collect()
    }

    /// The uploads whose token `is_ended`.
    pub fn of_tokens(&self, is_ended: impl Fn(TokenRef) -> bool) -> Vec<Uuid> {
        let open = self.lock();
        let ended = open.by_id.values().filter(|upload| upload.owner.is_some_and(&is_ended));
        ended.map(|upload| upload.id).collect()
    }

    /// The uploads nobody has touched for `limit`.
    pub fn expired(&self, limit: Duration) -> Vec<Uuid> {
        let now = UnixTime::now();
        let open = self.lock();
        open.by_id.values().filter(|upload| upload.is_expired(now, limit)).map(|upload| upload.id).collect()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Open> {
        self.open.lock()
    }
}
