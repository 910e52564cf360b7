//! Committing a path: the moment at which a push counts.

use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::{ActiveModelTrait, ActiveValue, DatabaseTransaction, EntityTrait};
use uuid::Uuid;

use super::load::{self, IN_LIST};
use super::{NarRecord, PathRecord, unpublished};
use crate::entity::{nar, reference, store_path};
use crate::{CacheId, Catalog, CatalogError, PathId, StorageId, UnixTime, rows, uploads};

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
    /// known as damaged is taken to be replaced by the committed one.
    ///
    /// The path is also put on the list of [`Catalog::unpublished`] paths.
    ///
    /// # Errors
    ///
    /// [`CatalogError::ContradictingNar`] if the cache holds the same file under another NAR hash, size or compression.
    pub async fn commit_path(&self, commit: PathCommit) -> Result<CommitOutcome, CatalogError> {
        self.write(move |transaction| Box::pin(run(transaction, commit))).await
    }
}

async fn run(transaction: &DatabaseTransaction, commit: PathCommit) -> Result<CommitOutcome, CatalogError> {
    if let Some(upload) = commit.upload {
        uploads::finish(transaction, upload, commit.cache, commit.path.hash(), commit.created_at).await?;
    }

    let existing = load::find_with_nar(transaction, commit.cache, commit.path.hash()).await?;
    let hidden = match existing {
        None => None,
        Some((path, Some(nar))) if nar.damaged => Some(path),
        Some(row) => {
            let record = load::record(transaction, row).await?;
            return Ok(CommitOutcome::AlreadyPresent(Box::new(record)));
        }
    };

    let (nar, mut revealed) = claim_nar(transaction, commit.cache, &commit.nar, commit.created_at).await?;
    revealed.retain(|hash| hash != commit.path.hash());
    if let Some(hidden) = &hidden {
        // The rows that describe it go with it.
        store_path::Entity::delete_by_id(hidden.id).exec(transaction).await?;
    }
    let path = insert_path(transaction, &commit, &nar).await?;
    Ok(match hidden {
        None => CommitOutcome::Created { path, nar, revealed },
        Some(_) => CommitOutcome::Healed { path, nar, revealed },
    })
}

/// The row for a file: the one there is, mended if it was damaged, or a new one. Also the hashes of the paths that this
/// mends.
async fn claim_nar(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    new: &NewNar,
    now: UnixTime,
) -> Result<(NarRecord, Vec<StorePathHash>), CatalogError> {
    let known = load::find_nar(transaction, cache, &new.file_hash).await?;
    if let Some(known) = known {
        if !known.damaged {
            return if same_contents(&known, new) {
                Ok((known, Vec::new()))
            } else {
                Err(CatalogError::ContradictingNar { file_hash: new.file_hash.to_string() })
            };
        }
        let mended =
            nar::ActiveModel { id: ActiveValue::Unchanged(known.id), ..nar_columns(cache, new, now)? }
                .update(transaction)
                .await?;
        let revealed = load::path_hashes_of(transaction, known.id).await?;
        return Ok((mended.try_into()?, revealed));
    }
    let inserted = nar_columns(cache, new, now)?.insert(transaction).await?;
    Ok((inserted.try_into()?, Vec::new()))
}

fn same_contents(known: &NarRecord, new: &NewNar) -> bool {
    known.nar_hash == new.nar_hash
        && known.nar_size == new.nar_size
        && known.file_size == new.file_size
        && known.compression == new.compression
}

fn nar_columns(cache: CacheId, new: &NewNar, now: UnixTime) -> Result<nar::ActiveModel, CatalogError> {
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
