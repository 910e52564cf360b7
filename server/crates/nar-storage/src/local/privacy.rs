//! Keeping other users of the machine from the files of a private cache.
//!
//! The root of the storage is closed to them, which holds for all that is below it, whatever its permissions. New files are closed
//! as well, for copies of them elsewhere.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

use super::{LocalStorage, Shared};

/// The permissions of other users.
const OTHERS: u32 = 0o007;
/// The permissions of a new file.
const PRIVATE_FILE: u32 = 0o640;

impl LocalStorage {
    /// Sets whether other users of the machine are kept from the files. The root is closed soon, and again whenever the storage
    /// is prepared or probed. A storage that is no longer private keeps its permissions: only the operator knows who may read
    /// what is there.
    pub fn set_private(&self, is_private: bool) {
        self.shared.is_private.store(is_private, Ordering::Relaxed);
        if is_private && self.shared.ready.initialized() {
            let shared = self.shared.clone();
            // If it fails, the next probe says so.
            self.shared.quick.run_aside(move || {
                let _ = close_root(&shared);
            });
        }
    }
}

/// Closes the root of a private storage to other users. Blocks.
pub(super) fn close_root(shared: &Shared) -> io::Result<()> {
    if !shared.is_private.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mode = fs::metadata(&shared.root)?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(&shared.root, Permissions::from_mode(mode & !OTHERS))
}

/// Closes a new file of a private storage to other users. Blocks.
pub(super) fn close_file(shared: &Shared, file: &File) -> io::Result<()> {
    if shared.is_private.load(Ordering::Relaxed) {
        file.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
    }
    Ok(())
}
