//! Committing a path: the moment at which a push counts.

use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::claim::{Claimed, ReplacedNar, Usable, claim};
use super::load::{self, IN_LIST};
use super::{NarRecord, PathRecord, unpublished};
use crate::entity::values::{Count, Signatures};
use crate::entity::{reference, store_path};
use crate::writer::Written;
use crate::{
    CacheId, Catalog, CatalogChange, CatalogError, PathChange, StorageId, UnixTime, caches, uploads,
};

/// A store path that is to become visible. Its NAR must be verified and durable in its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathCommit {
    /// The cache it is pushed to.
    pub cache: CacheId,
    /// The store path.
    pub path: StorePath,
    /// The file that holds it.
    pub nar: NewNar,
    /// What it refers to, in the order in which the narinfo is to list it. The targets need not exist.
    pub references: Vec<StorePath>,
    /// Base name of the derivation that made it.
    pub deriver: Option<String>,
    /// Its content address.
    pub ca: Option<String>,
    /// `name:base64` each, all of them checked.
    pub signatures: Vec<String>,
    /// The upload that this completes, so that [`Catalog::find_finished_upload`] knows it.
    pub upload: Option<Uuid>,
    /// When.
    pub created_at: UnixTime,
    /// What [`crate::CacheRecord::turns`] is to be from now on. Saved if the commit creates or heals the path, that is, if
    /// the file counts as one that was put into its storage.
    pub turns: Option<String>,
    /// Storages that cannot give their files at the moment. What lies there is pushed again, to another storage.
    pub unavailable: Vec<StorageId>,
}

/// A NAR file that was put into a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewNar {
    /// Where the file lies.
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

/// What a commit did. In every case the path is visible now. A path that is created or healed comes with all its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The path is new.
    Created {
        /// The new path. If its file lies on another storage than the one committed, the cache had the same file already
        /// and the committed copy is not needed.
        path: Box<PathRecord>,
        /// Other paths that became visible again, because they need the same file and it could not be used.
        revealed: Vec<StorePathHash>,
        /// What the committed file replaced.
        replaced: Option<ReplacedNar>,
    },
    /// The path was there and visible. It is left as it was, but counts as used, and the committed file is not recorded.
    /// Another path may use a file of the same hash, though: ask [`Catalog::find_nar`] before removing it.
    AlreadyPresent(Box<PathRecord>),
    /// The path was hidden because its file could not be used. Everything about it is replaced by what was committed. If
    /// that is another file, the old one stays recorded, where [`Catalog::nars_on`] finds it, until it is collected as
    /// garbage.
    Healed {
        /// The path, which is a new row.
        path: Box<PathRecord>,
        /// Other paths that became visible again, as for `Created`.
        revealed: Vec<StorePathHash>,
        /// What the committed file replaced.
        replaced: Option<ReplacedNar>,
    },
}

impl Catalog {
    /// Makes a path visible, or finds that it is. Durable when this returns.
    ///
    /// A file that the cache holds already is not recorded twice: the path of the outcome says where it lies. A file that
    /// cannot be used is taken to be replaced by the committed one, under a new id. It cannot be used if it is known as
    /// damaged, or lies on a storage that is not enabled or is given as unavailable.
    ///
    /// The path is also put on the list of [`Catalog::unpublished`] paths.
    ///
    /// # Errors
    ///
    /// [`CatalogError::ContradictingNar`] if the cache holds the same file under another NAR hash, size or compression;
    /// [`CatalogError::StorageNotInUse`] if the file would have to be recorded on a storage that is not enabled.
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

    let usable = Usable::at(transaction, commit).await?;
    let hidden = match load::find_with_nar(transaction, commit.cache, commit.path.hash()).await? {
        None => None,
        Some((path, Some(nar))) if !usable.has(nar.storage, nar.damaged) => Some(path),
        Some(row) => {
            let mut record = load::record(transaction, row).await?.ok_or_else(|| {
                let found = "nothing, within the transaction that had found it";
                CatalogError::corrupt::<store_path::Entity>("id", found)
            })?;
            note_use(transaction, &mut record, commit.created_at).await?;
            return Ok(Written::quietly(CommitOutcome::AlreadyPresent(Box::new(record))));
        }
    };

    let Claimed { nar, mut revealed, replaced } =
        claim(transaction, commit.cache, &commit.nar, &usable, commit.created_at).await?;
    revealed.retain(|hash| hash != commit.path.hash());
    if let Some(hidden) = &hidden {
        // The rows that describe it go with it.
        store_path::Entity::delete_by_id(hidden.id).exec(transaction).await?;
    }
    let path = Box::new(insert_path(transaction, commit, nar).await?);
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

/// Whoever pushes what is there relies on it as much as whoever reads it. Written down in the same transaction, so that
/// garbage collection, which looks here last, knows it.
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
    }
    .insert(transaction)
    .await?;
    for (chunk, some) in commit.references.chunks(IN_LIST).enumerate() {
        let rows = some
            .iter()
            .zip(chunk * IN_LIST..)
            .map(|(target, position)| {
                Ok(reference::ActiveModel {
                    path: ActiveValue::Set(row.id),
                    position: ActiveValue::Set(Count::new("the position", position as u64)?.into()),
                    hash: ActiveValue::Set((*target.hash()).into()),
                    name: ActiveValue::Set(target.name().to_owned()),
                })
            })
            .collect::<Result<Vec<_>, CatalogError>>()?;
        reference::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    unpublished::insert(transaction, &[row.id]).await?;
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
    })
}
