//! Storage in a directory of a local file system.
//!
//! The directory is a plain binary cache. Beside the objects it holds the file that marks it as a storage (see [`marker`]) and
//! `.spool` with mode 0700, on the same file system, so that storing an upload is a rename. Blocking operations run on blocking
//! threads; reads of cached files run on the calling thread (see [`read`]).

mod dir_sync;
mod directories;
mod dismantle;
mod file_object;
mod link;
mod list;
mod marker;
mod open_files;
mod physical;
mod pool;
mod prepare;
mod privacy;
mod put;
mod read;
mod stream;
mod threads;

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::OnceCell;

use self::dir_sync::DirSync;
use self::directories::Directories;
use self::marker::MarkerMismatch;
use self::open_files::OpenFiles;
use self::prepare::Ready;
use self::put::SpoolError;
use self::threads::Threads;
use crate::{Blob, Context, Durability, Key, Operation, Storage, StorageError, Usage};

pub use self::file_object::{FileObject, Sent};
pub use self::link::{FileIdentity, Linking, SpooledLink};
pub use self::open_files::{DEFAULT_OPEN_FILES, ReadCache};
pub use self::physical::PhysicalCount;

/// The name of the spool within the root.
const SPOOL: &str = ".spool";

/// A [`Storage`] in a local directory.
pub struct LocalStorage {
    shared: Arc<Shared>,
    expected_marker: Option<String>,
}

/// The state that operations share with blocking threads.
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
    /// See [`LocalStorage::set_private`].
    is_private: AtomicBool,
}

impl LocalStorage {
    /// Creates a storage called `name` in the directory `root` of one cache. Changes nothing before
    /// [`prepare`](Storage::prepare).
    ///
    /// It keeps files open in `read_cache`, which all storages of a process should share, because it bounds memory and file
    /// descriptors.
    pub fn new(name: &str, root: PathBuf, read_cache: &Arc<ReadCache>) -> Self {
        // The working directory may change later. If it is unknown, the path is used as it is.
        let root = path::absolute(&root).unwrap_or(root);
        let shared = Shared {
            name: name.into(),
            spool: root.join(SPOOL),
            ready: OnceCell::new(),
            quick: Arc::new(Threads::quick()),
            slow: Threads::slow(),
            files: OpenFiles::new(read_cache.clone()),
            directories: Directories::new(root.clone()),
            root,
            dir_sync: Arc::new(DirSync::new(dir_sync::fsync)),
            temporaries: AtomicU64::new(0),
            is_private: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), expected_marker: None }
    }

    /// Returns the id in the marker file of the directory `root`, `None` if there is none. Blocks.
    pub fn marker_in(root: &Path) -> io::Result<Option<String>> {
        marker::find(root)
    }

    /// Accepts the directory only if its [marker](Self::marker) is `expected`, and creates nothing otherwise, because the directory
    /// is an empty mount point or another storage. Without an expectation any marker is accepted, and a missing one is
    /// created.
    pub fn with_marker(self, expected: Option<String>) -> Self {
        Self { expected_marker: expected, ..self }
    }

    /// Returns the id that marks the directory once the storage is [prepared](Storage::prepare). Pass it to
    /// [`with_marker`](Self::with_marker) after the next start. It is the line in the file `.cache-server-storage` of the
    /// directory and moves with it.
    pub fn marker(&self) -> Option<String> {
        self.shared.ready.get().map(|ready| ready.marker.clone())
    }

    /// Returns the directory of the objects.
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// Removes an empty storage including its directory. It cannot be used afterwards. Foreign files are kept. Returns whether
    /// nothing is left.
    pub async fn dismantle(&self) -> Result<bool, StorageError> {
        self.blocking(Operation::Delete, None, dismantle::dismantle).await
    }

    /// Runs `job` on a blocking thread and adds context to its error.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        job: impl FnOnce(&Shared) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let shared = self.shared.clone();
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
        Context { storage: self.name.clone(), operation, key: key.cloned() }
    }

    fn threads(&self, operation: Operation) -> &Threads {
        match operation {
            Operation::Open | Operation::Head | Operation::Delete | Operation::Usage | Operation::Probe => {
                &self.quick
            }
            Operation::Prepare | Operation::Put | Operation::Sync | Operation::List => &self.slow,
        }
    }

    /// Tells a missing object from a missing storage. Blocks if the error is "not found".
    fn explain(&self, context: Context, error: io::Error) -> StorageError {
        let error = match error.kind() {
            // Before it is prepared, nothing is known about it.
            io::ErrorKind::NotFound if context.operation != Operation::Prepare => {
                self.check_present().err().unwrap_or(error)
            }
            _ => error,
        };
        let error = match error.downcast::<MarkerMismatch>() {
            Ok(mismatch) => return StorageError::Unavailable { context, reason: mismatch.to_string() },
            Err(error) => error,
        };
        match error.downcast::<SpoolError>() {
            Ok(SpoolError(cause)) => StorageError::Spool { context, cause },
            Err(error) => StorageError::from_io(context, error),
        }
    }

    /// Checks that the directory is the one that was prepared. Call it before changing anything in it, and before reporting an
    /// object as missing. Blocks.
    fn check_present(&self) -> io::Result<()> {
        let ready = self.ready.get().ok_or(MarkerMismatch::Unprepared)?;
        marker::check(&self.root, &ready.marker)
    }

    /// Returns whether the kernel answers immediately for cached files.
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
        self.store(key, move |shared| put::put_file(shared, &to, &spooled, durability)).await
    }

    async fn put_bytes(&self, key: &Key, bytes: Bytes, durability: Durability) -> Result<(), StorageError> {
        let to = key.clone();
        self.store(key, move |shared| put::put_bytes(shared, &to, &bytes, durability)).await
    }

    async fn put_all(
        &self,
        objects: Vec<(Key, Bytes)>,
        durability: Durability,
    ) -> Result<Vec<u64>, StorageError> {
        let Some((first, _)) = objects.first() else { return Ok(Vec::new()) };
        let first = first.clone();
        let keys: Vec<Key> = objects.iter().map(|(key, _)| key.clone()).collect();
        let put = move |shared: &Shared| put::put_all(shared, &objects, durability);
        let (replaced, syncing) = self.blocking(Operation::Put, Some(&first), put).await?;
        self.finish_store(&keys, syncing).await?;
        Ok(replaced)
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

    fn open_now(&self, key: &Key, size: u64) -> Option<FileObject> {
        self.open_object_now(key, size)
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
            // An object of this name on another disk belongs to another storage.
            shared.check_present()?;
            let removed = fs::remove_file(shared.path(&what));
            shared.files.forget(&what);
            match removed {
                Ok(()) => Ok(true),
                // Or the disk disappeared meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    shared.check_present().map(|()| false)
                }
                Err(error) => Err(error),
            }
        };
        self.blocking(Operation::Delete, Some(key), delete).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<(Key, u64), StorageError>> {
        list::list(self.shared.clone(), prefix)
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
