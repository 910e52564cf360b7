//! Storage in a directory of a local file system.
//!
//! The directory is a plain binary cache. Beside the objects it holds `.spool`, mode 0700, on the same file system, so
//! that storing an upload is a rename, and the file that marks it as a storage (see [`marker`]). Whatever may block runs
//! on blocking threads; reads of what the kernel has in memory are done where they are asked for (see [`read`]).

mod dir_sync;
mod directories;
mod dismantle;
mod list;
mod marker;
mod open_files;
mod pool;
mod prepare;
mod put;
mod read;
mod stream;
mod threads;

use std::{
    fs::{self, File},
    io::{self, Read},
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{self, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::OnceCell;

use self::{
    dir_sync::DirSync, directories::Directories, marker::Stranger, open_files::OpenFiles, prepare::Ready,
    put::SpoolError, threads::Threads,
};
use crate::{Blob, Context, Durability, Key, Operation, Storage, StorageError, Usage};

pub use self::open_files::{DEFAULT_OPEN_FILES, ReadCache};

/// Name of the spool within the root.
const SPOOL: &str = ".spool";

/// A [`Storage`] in a local directory.
pub struct LocalStorage {
    shared: Arc<Shared>,
    expected_marker: Option<String>,
}

/// What operations take along to blocking threads.
struct Shared {
    name: Arc<str>,
    root: PathBuf,
    spool: PathBuf,
    ready: OnceCell<Ready>,
    quick: Arc<Threads>,
    slow: Threads,
    files: OpenFiles,
    directories: Directories,
    dir_sync: Arc<DirSync>,
    temporaries: AtomicU64,
}

impl LocalStorage {
    /// A storage called `name` (for messages) in the directory `root`, which is that of one cache. Touches nothing
    /// before [`prepare`](Storage::prepare).
    ///
    /// It keeps files open in `read_cache`, which all storages of a process should share, as it bounds memory and file
    /// descriptors.
    #[must_use]
    pub fn new(name: &str, root: PathBuf, read_cache: &Arc<ReadCache>) -> Self {
        // The working directory must not matter later on; where it is unknown, the path is as good as it gets.
        let root = path::absolute(&root).unwrap_or(root);
        let shared = Shared {
            name: name.into(),
            spool: root.join(SPOOL),
            ready: OnceCell::new(),
            quick: Arc::new(Threads::quick()),
            slow: Threads::slow(),
            files: OpenFiles::new(Arc::clone(read_cache)),
            directories: Directories::new(root.clone()),
            root,
            dir_sync: Arc::new(DirSync::new(dir_sync::fsync)),
            temporaries: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), expected_marker: None }
    }

    /// Takes the directory for the storage only if its [marker](Self::marker) is `expected`, and creates nothing where
    /// it is not: the directory is an empty mount point then, or another storage. Without an expectation any marker
    /// will do, and a directory that has none gets one.
    #[must_use]
    pub fn with_marker(self, expected: Option<String>) -> Self {
        Self { expected_marker: expected, ..self }
    }

    /// Id that marks the directory, once the storage is [prepared](Storage::prepare): what
    /// [`with_marker`](Self::with_marker) is to be told after the next start. It is the line in the file
    /// `.cache-server-storage` of the directory and moves with that.
    #[must_use]
    pub fn marker(&self) -> Option<String> {
        self.shared.ready.get().map(|ready| ready.marker.clone())
    }

    /// Directory that holds the objects.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Removes the storage itself, its directory included, when it holds no objects; nothing can be done with it afterwards.
    /// Files that no storage makes are left alone. Returns whether nothing is left.
    pub async fn dismantle(&self) -> Result<bool, StorageError> {
        self.blocking(Operation::Delete, None, dismantle::dismantle).await
    }

    /// Runs `job` on a blocking thread and explains its error.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        job: impl FnOnce(&Shared) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let shared = Arc::clone(&self.shared);
        let context = self.shared.context(operation, key);
        let job_context = context.clone();
        let job = move || Ok(job(&shared).map_err(|error| shared.explain(job_context, error)));
        match self.shared.threads(operation).run(job).await {
            Ok(result) => result,
            Err(error) => Err(StorageError::from_io(context, error)),
        }
    }
}

impl Shared {
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn context(&self, operation: Operation, key: Option<&Key>) -> Context {
        Context { storage: Arc::clone(&self.name), operation, key: key.cloned() }
    }

    fn threads(&self, operation: Operation) -> &Threads {
        match operation {
            Operation::Open | Operation::Head | Operation::Delete | Operation::Usage | Operation::Probe => {
                &self.quick
            }
            Operation::Prepare | Operation::Put | Operation::Sync | Operation::List => &self.slow,
        }
    }

    /// Tells an object that is missing from a storage that is. Blocks where the error is "not found".
    fn explain(&self, context: Context, error: io::Error) -> StorageError {
        let error = match error.kind() {
            // Before it is prepared nothing can be said of it.
            io::ErrorKind::NotFound if context.operation != Operation::Prepare => {
                self.check_present().err().unwrap_or(error)
            }
            _ => error,
        };
        let error = match error.downcast::<Stranger>() {
            Ok(stranger) => return StorageError::Unavailable { context, reason: stranger.to_string() },
            Err(error) => error,
        };
        match error.downcast::<SpoolError>() {
            Ok(SpoolError(source)) => StorageError::Spool { context, source },
            Err(error) => StorageError::from_io(context, error),
        }
    }

    /// Makes sure that the directory is the one that was prepared. To be asked before anything in it is changed, and
    /// before something is said not to be there. Blocks.
    fn check_present(&self) -> io::Result<()> {
        let ready = self.ready.get().ok_or(Stranger::Unprepared)?;
        marker::check(&self.root, &ready.marker)
    }

    /// Whether the kernel answers at once for what it has in memory.
    fn answers_inline(&self) -> bool {
        self.ready.get().is_some_and(|ready| ready.inline)
    }
}

#[async_trait]
impl Storage for LocalStorage {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn spool_dir(&self) -> &Path {
        &self.shared.spool
    }

    async fn prepare(&self) -> Result<(), StorageError> {
        let prepare = || {
            let expected = self.expected_marker.clone();
            let prepare = move |shared: &Shared| prepare::prepare(shared, expected.as_deref());
            self.blocking(Operation::Prepare, None, prepare)
        };
        self.shared.ready.get_or_try_init(prepare).await.map(|_| ())
    }

    async fn put_file(&self, key: &Key, spooled: &Path, durability: Durability) -> Result<(), StorageError> {
        let (to, spooled) = (key.clone(), spooled.to_owned());
        let put = move |shared: &Shared| put::put_file(shared, &to, &spooled, durability);
        self.blocking(Operation::Put, Some(key), put).await?;
        self.settle(key, durability).await
    }

    async fn put_bytes(&self, key: &Key, bytes: Bytes, durability: Durability) -> Result<(), StorageError> {
        let to = key.clone();
        let put = move |shared: &Shared| put::put_bytes(shared, &to, &bytes, durability);
        self.blocking(Operation::Put, Some(key), put).await?;
        self.settle(key, durability).await
    }

    async fn sync(&self, keys: &[Key]) -> Result<(), StorageError> {
        self.sync_objects(keys).await
    }

    async fn open(
        &self,
        key: &Key,
        expected_size: Option<u64>,
        range: Option<Range<u64>>,
    ) -> Result<Blob, StorageError> {
        self.read(key, expected_size, range).await
    }

    fn open_blocking(&self, key: &Key) -> Result<Box<dyn Read + Send>, StorageError> {
        let explain = |error| self.shared.explain(self.shared.context(Operation::Open, Some(key)), error);
        Ok(Box::new(File::open(self.shared.path(key)).map_err(explain)?))
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, StorageError> {
        let of = key.clone();
        let head = move |shared: &Shared| match fs::metadata(shared.path(&of)) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.size())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => shared.check_present().map(|()| None),
            Err(error) => Err(error),
        };
        self.blocking(Operation::Head, Some(key), head).await
    }

    async fn delete(&self, key: &Key) -> Result<bool, StorageError> {
        let what = key.clone();
        let delete = move |shared: &Shared| {
            // The object of this name on another disk is not ours to remove.
            shared.check_present()?;
            let removed = fs::remove_file(shared.path(&what));
            shared.files.forget(&what);
            match removed {
                Ok(()) => Ok(true),
                // Or the disk has gone in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    shared.check_present().map(|()| false)
                }
                Err(error) => Err(error),
            }
        };
        self.blocking(Operation::Delete, Some(key), delete).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>> {
        list::list(Arc::clone(&self.shared), prefix)
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        let usage = |shared: &Shared| {
            shared.check_present()?;
            Usage::of_file_system(&shared.root)
        };
        self.blocking(Operation::Usage, None, usage).await
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.prepare().await?;
        self.blocking(Operation::Probe, None, prepare::probe).await
    }
}

/// Locks, whatever became of the last holder: every state these mutexes guard is whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
