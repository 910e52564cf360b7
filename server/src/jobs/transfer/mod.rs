//! What imports and exports have in common: many paths, several at a time, each on its own.
//!
//! | file | what |
//! |---|---|
//! | `walk.rs` | the paths one after the other, with what they refer to |
//! | `tally.rs` | what became of them |
//! | `place.rs` | the URLs of directories and buckets |
//! | `throttle.rs` | how fast |

mod place;
mod tally;
mod throttle;
mod walk;

use admin_api::{ApiError, ErrorCode};
use nix_formats::{StorePath, StorePathHash};

pub(super) use self::place::{Place, bucket_settings};
pub(super) use self::tally::{Fate, Tally};
pub(super) use self::throttle::Throttle;
pub(super) use self::walk::{Carrier, Done, Walk};

use super::JobError;

/// Reads the name of a store path in any of its forms.
pub(super) fn parse_path(text: &str) -> Result<StorePathHash, JobError> {
    let path = StorePath::from_full_path(text).or_else(|_| StorePath::from_base_name(text));
    let hash = path.map(|path| *path.hash()).or_else(|_| text.parse());
    hash.map_err(|_| {
        JobError::Failed(ApiError {
            code: ErrorCode::Invalid,
            message: format!("`{text}` is not a store path"),
            hint: Some("write /nix/store/HASH-NAME, HASH-NAME or HASH".to_owned()),
        })
    })
}
