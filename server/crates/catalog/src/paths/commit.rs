//! Committing a path, which is the moment at which a push counts.

use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::claim::{Claimed, ReplacedNar, Usable, claim, claim_new};
use super::load::{self, IN_LIST};
use super::setting::Setting;
use super::{NarRecord, PathRecord, unpublished};
use crate::closures::{self, Concerns};
use crate::entity::values::{Count, Signatures};
use crate::entity::{reference, store_path};
use crate::writer::Written;
use crate::{
    CacheId, Catalog, CatalogChange, CatalogError, PathChange, PathId, StorageId, UnixTime, caches, copies,
    trash, uploads,
};

/// A store path to make visible. Its NAR must be verified and durable on its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathCommit {
    /// The cache that it is pushed to.
    pub cache: CacheId,
    /// The store path.
    pub path: StorePath,
    /// The file that holds its NAR.
    pub nar: NewNar,
    /// Its references, in the order in which the narinfo lists them. The targets need not exist.
    pub references: Vec<StorePath>,
    /// The base name of the derivation that built it.
    pub deriver: Option<String>,
    /// Its content address.
    pub ca: Option<String>,
    /// Its signatures as `name:base64`, all of them verified.
    pub signatures: Vec<String>,
    /// The upload that this completes, for [`Catalog::find_finished_upload`].
    pub upload: Option<Uuid>,
    /// The token that it is pushed with. A path that is there keeps that of its first push.
    pub pushed_by: Option<Uuid>,
    /// The time of the commit.
    pub created_at: UnixTime,
    /// The new value of [`crate::CacheRecord::turns`]. Saved if the commit creates or heals the path, that is, if the file
    /// counts as stored.
    pub turns: Option<String>,
    /// Storages that are unavailable at the moment. A file that has no copy elsewhere is replaced by the committed one.
    pub unavailable: Vec<StorageId>,
    /// How many further copies of the file are to be made, if it is stored anew.
    pub copies: u64,
}

/// A NAR file that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewNar {
    /// The storage that holds the file.
    pub storage: StorageId,
    /// SHA-256 of the file.
    pub file_hash: FileHash,
    /// How the file is compressed.
    pub compression: Compression,
    /// Size of the file in bytes.
    pub file_size: u64,
    /// SHA-256 of the NAR inside.
    pub nar_hash: NarHash,
    /// Size of the NAR inside, in bytes.
    pub nar_size: u64,
}

/// The outcome of a commit. In every case the path is visible now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The path is new.
    Created {
        /// The new path. If its file is on another storage than the committed one, the cache had the same file already and
        /// the committed copy is not needed.
        path: Box<PathRecord>,
        /// Other paths that became visible again, because they need the same file, which was unusable.
        revealed: Vec<StorePathHash>,
        /// The file that the committed one replaced.
        replaced: Option<ReplacedNar>,
    },
    /// The path existed and was visible. It is unchanged but counts as used, and the committed file is not recorded. Another
    /// path may use a file of the same hash: check [`Catalog::find_nar`] before removing the file.
    AlreadyPresent(Box<PathRecord>),
    /// The path was hidden because its file was unusable. The commit replaced everything about it. If it has another file
    /// now, the old one stays recorded, where [`Catalog::nars_on`] finds it, until garbage collection removes it.
    Healed {
        /// The path, which is a new row.
        path: Box<PathRecord>,
        /// Other paths that became visible again, as for `Created`.
        revealed: Vec<StorePathHash>,
        /// The file that the committed one replaced.
        replaced: Option<ReplacedNar>,
    },
}

impl Catalog {
    /// Makes a path visible unless it is visible already. Durable when this returns.
    ///
    /// A file that the cache has already is not recorded twice: the path of the outcome names its storage. The committed file
    /// replaces an unusable one under a new id. A file is unusable if it is known to be damaged, or if its storage is
    /// disabled or unavailable.
    ///
    /// The path is also added to the list of [`Catalog::unpublished`] paths.
    ///
    /// # Errors
    ///
    /// [`CatalogError::ContradictingNar`] if the cache has the same file with another NAR hash, size or compression;
    /// [`CatalogError::StorageNotInUse`] if the file would be recorded on a disabled storage.
    pub async fn commit_path(&self, commit: PathCommit) -> Result<CommitOutcome, CatalogError> {
        self.write(commit, |transaction, commit| Box::pin(run(transaction, commit))).await
    }
}

async fn run(
    transaction: &DatabaseTransaction,
    commit: &PathCommit,
) -> Result<Written<CommitOutcome>, CatalogError> {
    if let Some(upload) = commit.upload {
        uploads::finish(transaction, upload, commit.cache, commit.path.hash(), commit.created_at).await?;
    }

    let setting = Setting::of(transaction, commit).await?;
    let (hidden, claimed) = if setting.is_untouched() {
        (None, claim_new(transaction, commit.cache, &commit.nar, commit.created_at).await?)
    } else {
        let usable = Usable::at(transaction, commit).await?;
        let hidden = match load::find_with_nar(transaction, commit.cache, commit.path.hash()).await? {
            None => None,
            Some((path, Some(nar)))
                if !usable.has_any(transaction, nar.id, nar.storage, nar.damaged).await? =>
            {
                Some(path)
            }
            Some(row) => return already_present(transaction, row, commit.created_at).await,
        };
        let claimed = claim(transaction, commit.cache, &commit.nar, &usable, commit.created_at).await?;
        (hidden, claimed)
    };
    let Claimed { nar, mut revealed, replaced, is_new } = claimed;
    if is_new && commit.copies > 0 {
        copies::want_copies(transaction, nar.id, commit.copies).await?;
    }
    revealed.retain(|hash| hash != commit.path.hash());
    if let Some(hidden) = &hidden {
        // The rows that describe it are deleted with it.
        store_path::Entity::delete_by_id(hidden.id).exec(transaction).await?;
    }
    if setting.is_trashed {
        trash::take_out(transaction, commit.cache, &[*commit.path.hash()]).await?;
    }
    let path = Box::new(insert_path(transaction, commit, nar, setting.is_awaited).await?);
    closures::settle(transaction, commit.cache, &revealed).await?;
    if let Some(turns) = &commit.turns {
        caches::save_turns(transaction, commit.cache, turns).await?;
    }
    let changes = std::iter::once(commit.path.hash())
        .chain(&revealed)
        .map(|&path| CatalogChange::Path { cache: commit.cache, path, change: PathChange::Inserted })
        .collect();
    let outcome = match hidden {
        None => CommitOutcome::Created { path, revealed, replaced },
        Some(_) => CommitOutcome::Healed { path, revealed, replaced },
    };
    Ok(Written::with_changes(outcome, changes))
}

async fn already_present(
    transaction: &DatabaseTransaction,
    row: load::PathRow,
    now: UnixTime,
) -> Result<Written<CommitOutcome>, CatalogError> {
    let mut record = load::record(transaction, row).await?.ok_or_else(|| {
        let found = "nothing, within the transaction that had found it";
        CatalogError::corrupt::<store_path::Entity>("id", found)
    })?;
    note_use(transaction, &mut record, now).await?;
    Ok(Written::quietly(CommitOutcome::AlreadyPresent(Box::new(record))))
}

/// Records that pushing an existing path uses it, as reading does. This is part of the transaction, so that garbage collection,
/// which checks once more in its own, sees it.
async fn note_use(
    transaction: &DatabaseTransaction,
    path: &mut PathRecord,
    now: UnixTime,
) -> Result<(), CatalogError> {
    if now <= path.last_used_at {
        return Ok(());
    }
    store_path::Entity::update_many()
        .col_expr(store_path::Column::LastUsedAt, now.into())
        .filter(store_path::Column::Id.eq(path.id))
        .exec(transaction)
        .await?;
    path.last_used_at = now;
    Ok(())
}

async fn insert_path(
    transaction: &DatabaseTransaction,
    commit: &PathCommit,
    nar: NarRecord,
    is_awaited: bool,
) -> Result<PathRecord, CatalogError> {
    let row = store_path::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(commit.cache),
        hash: ActiveValue::Set((*commit.path.hash()).into()),
        name: ActiveValue::Set(commit.path.name().to_owned()),
        nar: ActiveValue::Set(nar.id),
        deriver: ActiveValue::Set(commit.deriver.clone()),
        ca: ActiveValue::Set(commit.ca.clone()),
        signatures: ActiveValue::Set(Signatures::new(commit.signatures.clone())?.into()),
        created_at: ActiveValue::Set(commit.created_at),
        last_used_at: ActiveValue::Set(commit.created_at),
        pushed_by: ActiveValue::Set(commit.pushed_by.map(|token| token.to_string())),
        missing_reference: ActiveValue::Set(None),
    }
    .insert(transaction)
    .await?;
    insert_references(transaction, row.id, &commit.references).await?;
    unpublished::insert(transaction, &[row.id]).await?;
    let concerns = Concerns { references: !commit.references.is_empty(), others: is_awaited };
    let missing_reference =
        closures::settle_new(transaction, commit.cache, row.id, commit.path.hash(), concerns).await?;
    Ok(PathRecord {
        id: row.id,
        path: commit.path.clone(),
        nar,
        references: commit.references.clone(),
        deriver: row.deriver,
        ca: row.ca,
        signatures: row.signatures.into_inner().into_vec(),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        pushed_by: row.pushed_by,
        missing_reference,
    })
}

/// Records the references of a new path, in order.
pub(crate) async fn insert_references(
    transaction: &DatabaseTransaction,
    path: PathId,
    references: &[StorePath],
) -> Result<(), CatalogError> {
    for (chunk, some) in references.chunks(IN_LIST).enumerate() {
        let rows = some
            .iter()
            .zip(chunk * IN_LIST..)
            .map(|(target, position)| {
                Ok(reference::ActiveModel {
                    path: ActiveValue::Set(path),
                    position: ActiveValue::Set(Count::new("the position", position as u64)?.into()),
                    hash: ActiveValue::Set((*target.hash()).into()),
                    name: ActiveValue::Set(target.name().to_owned()),
                })
            })
            .collect::<Result<Vec<_>, CatalogError>>()?;
        reference::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}
