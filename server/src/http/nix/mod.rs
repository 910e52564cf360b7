//! The binary cache protocol of Nix: reading and, with a write token, `nix copy --to`.

pub mod cache_info;
pub mod debuginfo;
pub mod elsewhere;
mod encoding;
pub mod listing;
pub mod log;
pub mod nar;
pub mod narinfo;
mod range;
pub mod realisation;
pub mod resumable;
pub mod serve;
pub mod untracked;

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::HttpError;
use crate::cache::PushError;
use crate::limits::decoder_memory::DecodersBusy;

/// Waits for a turn to unpack something, for at most `patience`.
async fn turn_of(
    turns: &'static Semaphore,
    patience: Duration,
) -> Result<SemaphorePermit<'static>, HttpError> {
    match tokio::time::timeout(patience, turns.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(PushError::Busy(DecodersBusy).into()),
    }
}
