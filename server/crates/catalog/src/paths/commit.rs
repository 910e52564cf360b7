//! Committing a path: the moment at which a push counts.

use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::load::{self, IN_LIST};
use super::{NarRecord, PathRecord, unpublished};
use crate::entity::{nar, reference, store_path};
use crate::writer::Written;
use crate::{
    CacheId, Catalog, CatalogChange, CatalogError, NarId, PathChange, PathId, StorageId, UnixTime, rows,
    uploads,
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

/// What a commit did. In every case the path is visible now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The path is new.
    Created {
        /// The new path.
        path: PathId,
        /// The file it uses. If its storage is not the one committed, the cache had the same file already and the
        /// committed copy is not needed.
        nar: NarRecord,
        /// Other paths that became visible again, because they need the same file and it was damaged.
        revealed: Vec<StorePathHash>,
    },
    /// The path was there and visible. It is left as it was, and the committed file is not recorded. Another path may use a
    /// file of the same hash, though: ask [`Catalog::find_nar`] before removing it.
    AlreadyPresent(Box<PathRecord>),
    /// The path was hidden because its file was damaged. Everything about it is replaced by what was committed. If that is
    /// another file, the damaged one stays recorded until it is collected as garbage.
    Healed {
        /// The path, which is a new row.
        path: PathId,
        /// The file it uses, as for `Created`.
        nar: NarRecord,
        /// Other paths that became visible again, as for `Created`.
        revealed: Vec<StorePathHash>,
    },
}

impl Catalog {
    /// Makes a path visible, or finds that it is. Durable when this returns.
    ///
    /// A file that the cache holds already is not recorded twice: `nar` of the outcome says where it lies. A file that is
    /// known as damaged is taken to be replaced by the committed one, under a new id.
    ///
    /// The path is also put on the list of [`Catalog::unpublished`] paths.
    ///
    /// # Errors
    ///
    /// [`CatalogError::ContradictingNar`] if the cache holds the same file under another NAR hash, size or compression.
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

    let hidden = match load::find_with_nar(transaction, commit.cache, commit.path.hash()).await? {
        None => None,
        Some((path, Some(nar))) if nar.damaged => Some(path),
        Some(row) => {
            let record = load::record(transaction, row).await?.ok_or_else(|| CatalogError::Corrupt {
                table: "store_path",
                column: "id",
                found: "nothing, within the transaction that had found it".to_owned(),
            })?;
            return Ok(Written::quietly(CommitOutcome::AlreadyPresent(Box::new(record))));
        }
    };

    let (nar, mut revealed) = claim_nar(transaction, commit.cache, &commit.nar, commit.created_at).await?;
    revealed.retain(|hash| hash != commit.path.hash());
    if let Some(hidden) = &hidden {
        // The rows that describe it go with it.
        store_path::Entity::delete_by_id(hidden.id).exec(transaction).await?;
    }
    let path = insert_path(transaction, commit, &nar).await?;
    let changes = std::iter::once(commit.path.hash())
        .chain(&revealed)
        .map(|&path| CatalogChange::Path { cache: commit.cache, path, change: PathChange::Inserted })
        .collect();
    let outcome = match hidden {
        None => CommitOutcome::Created { path, nar, revealed },
        Some(_) => CommitOutcome::Healed { path, nar, revealed },
    };
    Ok(Written::with_changes(outcome, changes))
}

/// The row for a file: the one there is, a new one, or a new one in place of one that was damaged. Also the hashes of the
/// paths that this mends.
async fn claim_nar(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    new: &NewNar,
    now: UnixTime,
) -> Result<(NarRecord, Vec<StorePathHash>), CatalogError> {
    let row = nar_row(cache, new, now)?;
    match load::find_nar(transaction, cache, &new.file_hash).await? {
        None => Ok((row.insert(transaction).await?.try_into()?, Vec::new())),
        Some(known) if known.damaged => replace_damaged(transaction, known.id, row).await,
        Some(known) if same_contents(&known, new) => Ok((known, Vec::new())),
        Some(_) => Err(CatalogError::ContradictingNar { file_hash: new.file_hash.to_string() }),
    }
}

/// Puts a row with a new id in the place of a damaged file, so that whoever found the damage and reports it only now means
/// a file that is gone, not the sound one.
async fn replace_damaged(
    transaction: &DatabaseTransaction,
    damaged: NarId,
    row: nar::ActiveModel,
) -> Result<(NarRecord, Vec<StorePathHash>), CatalogError> {
    // Both rows exist for a moment, and the hash of the file is unique.
    nar::Entity::update_many()
        .col_expr(nar::Column::FileHash, Vec::<u8>::new().into())
        .filter(nar::Column::Id.eq(damaged))
        .exec(transaction)
        .await?;
    let sound = row.insert(transaction).await?;
    store_path::Entity::update_many()
        .col_expr(store_path::Column::Nar, sound.id.into())
        .filter(store_path::Column::Nar.eq(damaged))
        .exec(transaction)
        .await?;
    nar::Entity::delete_by_id(damaged).exec(transaction).await?;
    let revealed = load::paths_of(transaction, sound.id).await?;
    Ok((sound.try_into()?, revealed.into_iter().map(|(_, path)| path).collect()))
}

fn same_contents(known: &NarRecord, new: &NewNar) -> bool {
    known.nar_hash == new.nar_hash
        && known.nar_size == new.nar_size
        && known.file_size == new.file_size
        && known.compression == new.compression
}

fn nar_row(cache: CacheId, new: &NewNar, now: UnixTime) -> Result<nar::ActiveModel, CatalogError> {
    Ok(nar::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(cache),
        storage: ActiveValue::Set(new.storage),
        file_hash: ActiveValue::Set(new.file_hash.as_bytes().to_vec()),
        compression: ActiveValue::Set(new.compression.narinfo_name().to_owned()),
        file_size: ActiveValue::Set(rows::signed("the file size", new.file_size)?),
        nar_hash: ActiveValue::Set(new.nar_hash.as_bytes().to_vec()),
        nar_size: ActiveValue::Set(rows::signed("the NAR size", new.nar_size)?),
        damaged: ActiveValue::Set(false),
        created_at: ActiveValue::Set(now),
    })
}

async fn insert_path(
    transaction: &DatabaseTransaction,
    commit: &PathCommit,
    nar: &NarRecord,
) -> Result<PathId, CatalogError> {
    let path = store_path::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(commit.cache),
        hash: ActiveValue::Set(commit.path.hash().as_bytes().to_vec()),
        name: ActiveValue::Set(commit.path.name().to_owned()),
        nar: ActiveValue::Set(nar.id),
        deriver: ActiveValue::Set(commit.deriver.clone()),
        ca: ActiveValue::Set(commit.ca.clone()),
        signatures: ActiveValue::Set(load::join_signatures(&commit.signatures)?),
        created_at: ActiveValue::Set(commit.created_at),
        last_used_at: ActiveValue::Set(commit.created_at),
    }
    .insert(transaction)
    .await?
    .id;
    for (chunk, some) in commit.references.chunks(IN_LIST).enumerate() {
        let rows = some
            .iter()
            .zip(chunk * IN_LIST..)
            .map(|(target, position)| {
                Ok(reference::ActiveModel {
                    path: ActiveValue::Set(path),
                    position: ActiveValue::Set(rows::signed("the position", position as u64)?),
                    hash: ActiveValue::Set(target.hash().as_bytes().to_vec()),
                    name: ActiveValue::Set(target.name().to_owned()),
                })
            })
            .collect::<Result<Vec<_>, CatalogError>>()?;
        reference::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    unpublished::insert(transaction, path).await?;
    Ok(path)
}
