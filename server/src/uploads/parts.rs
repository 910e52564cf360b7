//! Receiving the bytes of an upload: in parts, or as a file in one piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use catalog::UnixTime;
use futures_util::{Stream, StreamExt};
use md5::Md5;
use nix_formats::{Compression, FileHash, NarFileName};
use sha2::{Digest as _, Sha256};

use super::Uploads;
use super::daily::{DailyUse, seconds_left};
use super::open::Upload;
use super::receive::{self, BodyHash, BodyWriter};
use super::spool::{Attempt, PartWriter};
use crate::auth::TokenRef;
use crate::cache::{Cache, PushError, blocking};
use crate::chain::chain;

/// Highest part number, as S3 has it.
pub const MAX_PART_NUMBER: u32 = 10_000;
/// Largest part: what the client allows as `--chunk-size`.
const MAX_PART_SIZE: u64 = 5 << 30;
/// Largest file that comes in one piece. The older clients have no other way.
const MAX_FILE_SIZE: u64 = 1 << 40;

/// A part as the client lists it when it completes an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPart {
    /// Its number, from 1.
    pub number: u32,
    /// The entity tag its upload was answered with, with or without quotes.
    pub etag: String,
}

impl Uploads {
    /// Takes the bytes of one part and returns its entity tag, the quoted MD5 in hexadecimal. `announced` is what its
    /// MD5 has to be.
    pub async fn put_part<S>(
        &self,
        upload: &Arc<Upload>,
        number: u32,
        len: Option<u64>,
        announced: [u8; 16],
        body: S,
    ) -> Result<String, PushError>
    where
        S: Stream<Item = Result<Bytes, String>>,
    {
        self.check_catalog()?;
        self.daily.begin(&self.catalog, upload.owner, len, UnixTime::now()).await?;
        let md5 = match upload.spool.begin_small(number, len, &self.open.small_memory) {
            Some(part) => {
                let limit = len.unwrap_or_default();
                let (part, md5) = receive_for(&self.daily, upload, body, part, Md5::new(), limit).await?;
                let md5 = check_part(part.written(), len, md5, announced)?;
                let (attempt, bytes) = part.finish(md5);
                upload.digest_small(attempt, bytes, &self.open.eager_slots);
                md5
            }
            None => {
                let writer = begin_part(upload, number, len, MAX_PART_SIZE).await?;
                upload.digest_eagerly(&self.open.eager_slots);
                let (writer, md5) =
                    receive_for(&self.daily, upload, body, writer, Md5::new(), MAX_PART_SIZE).await?;
                let md5 = check_part(writer.written(), len, md5, announced)?;
                writer.finish(md5);
                md5
            }
        };
        upload.touch();
        Ok(etag(&md5))
    }

    /// Takes a compressed NAR in one piece; it waits for its narinfo. `name` is what it claims to be called, `owner` the
    /// token it is sent with.
    pub async fn put_file<S>(
        &self,
        cache: &Arc<Cache>,
        owner: Option<TokenRef>,
        compression: Compression,
        name: Option<&NarFileName>,
        len: Option<u64>,
        body: S,
    ) -> Result<FileHash, PushError>
    where
        S: Stream<Item = Result<Bytes, String>>,
    {
        self.daily.begin(&self.catalog, owner, len, UnixTime::now()).await?;
        let upload = self.open_upload(cache, owner, compression, len).await?;
        let received = self.receive_file(&upload, name, len, body).await;
        let recorded = match (received, &self.owners) {
            (Ok(file), Some(owners)) => {
                owners.record_file(upload.id, cache.id, file).await.map(|()| file).map_err(PushError::from)
            }
            (received, _) => received,
        };
        match recorded {
            Ok(file) => {
                if let Some(replaced) = self.open.await_narinfo(&upload, file) {
                    self.end(replaced);
                }
            }
            // Nobody else was told of it, or it is not known whether they were.
            Err(PushError::Catalog(_)) => self.end(upload.id),
            Err(_) => self.open.remove(upload.id),
        }
        recorded
    }

    async fn receive_file<S>(
        &self,
        upload: &Arc<Upload>,
        name: Option<&NarFileName>,
        len: Option<u64>,
        body: S,
    ) -> Result<FileHash, PushError>
    where
        S: Stream<Item = Result<Bytes, String>>,
    {
        let writer = begin_part(upload, 1, len, MAX_FILE_SIZE).await?;
        upload.digest_eagerly(&self.open.eager_slots);
        let (writer, hash) =
            receive_for(&self.daily, upload, body, writer, Sha256::new(), MAX_FILE_SIZE).await?;
        let file = FileHash::from_bytes(hash.finalize().into());
        check_length(writer.written(), len)?;
        if name.is_some_and(|name| name.file_hash != file) {
            return Err(PushError::Checksum("SHA-256 in its name"));
        }
        // One part only, so its MD5 is never asked for.
        writer.finish([0; 16]);
        upload.spool.seal_parts(stored_parts(upload));
        let (spool, name) =
            (upload.spool.clone(), NarFileName { file_hash: file, compression: upload.compression });
        if let Err(error) = blocking(move || spool.note_whole(&name)).await? {
            tracing::warn!(error = %chain(&error), "a file that waits for its narinfo will not outlive a restart");
        }
        upload.touch();
        Ok(file)
    }
}

/// Receives a body for an upload, unless that ends before the body does.
async fn receive_for<S, W, H>(
    daily: &DailyUse,
    upload: &Upload,
    body: S,
    writer: W,
    hash: H,
    limit: u64,
) -> Result<(W, H), PushError>
where
    S: Stream<Item = Result<Bytes, String>>,
    W: BodyWriter,
    H: BodyHash,
{
    let is_over = AtomicBool::new(false);
    let body = body.map(|piece| {
        let bytes = piece.as_ref().map_or(0, Bytes::len);
        if daily.take(upload.owner, bytes) {
            return piece;
        }
        is_over.store(true, Ordering::Relaxed);
        Err("it is over the daily limit".to_owned())
    });
    let receiving = receive::receive(body, writer, hash, limit);
    let received = upload.ended.run_until_cancelled(receiving).await.ok_or(PushError::UnknownUpload)?;
    match received {
        Err(_) if is_over.load(Ordering::Relaxed) => {
            Err(PushError::OverDailyLimit { seconds: seconds_left(UnixTime::now()) })
        }
        received => received,
    }
}

async fn begin_part(
    upload: &Upload,
    number: u32,
    len: Option<u64>,
    limit: u64,
) -> Result<PartWriter, PushError> {
    if len.is_some_and(|len| len > limit) {
        return Err(PushError::TooLarge(format!("the body is larger than {limit} bytes")));
    }
    let spool = upload.spool.clone();
    Ok(blocking(move || spool.begin(number, len)).await??)
}

fn check_length(written: u64, announced: Option<u64>) -> Result<(), PushError> {
    match announced {
        Some(len) if len != written => Err(PushError::Body(format!("{written} of {len} bytes came"))),
        _ => Ok(()),
    }
}

/// Compares a part that has come with what the client announced, and returns its MD5.
fn check_part(written: u64, len: Option<u64>, md5: Md5, announced: [u8; 16]) -> Result<[u8; 16], PushError> {
    check_length(written, len)?;
    let md5: [u8; 16] = md5.finalize().into();
    if md5 == announced { Ok(md5) } else { Err(PushError::Checksum("Content-MD5")) }
}

/// All parts that arrived, in order.
pub fn stored_parts(upload: &Upload) -> Vec<(u32, Attempt)> {
    upload.spool.parts().iter().map(|(number, part)| (*number, part.attempt)).collect()
}

fn etag(md5: &[u8; 16]) -> String {
    let hex: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Compares the client's list with what arrived. Both must name parts 1 to n without a gap.
pub fn match_parts(
    upload: &Upload,
    listed: Option<Vec<ListedPart>>,
) -> Result<Vec<(u32, Attempt)>, PushError> {
    let stored = upload.spool.parts();
    if stored.is_empty() {
        return Err(PushError::Parts("no part of this upload has arrived".to_owned()));
    }
    if let Some(mut listed) = listed {
        listed.sort_by_key(|part| part.number);
        for pair in listed.windows(2) {
            if pair[0].number == pair[1].number {
                return Err(PushError::Parts(format!("part {} is listed twice", pair[0].number)));
            }
        }
        for part in &listed {
            let known = stored
                .get(&part.number)
                .ok_or_else(|| PushError::Parts(format!("part {} has not arrived", part.number)))?;
            if part.etag.trim_matches('"') != etag(&known.md5).trim_matches('"') {
                return Err(PushError::Parts(format!("part {} has another ETag", part.number)));
            }
        }
        if let Some(missing) = stored.keys().find(|number| !listed.iter().any(|part| part.number == **number))
        {
            return Err(PushError::Parts(format!("part {missing} arrived but is not listed")));
        }
    }
    for (expected, number) in (1..).zip(stored.keys()) {
        if expected != *number {
            return Err(PushError::Parts(format!("part {expected} is missing")));
        }
    }
    Ok(stored.iter().map(|(number, part)| (*number, part.attempt)).collect())
}
