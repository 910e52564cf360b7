//! What the `cachix` client calls: the API under `/api/v1/cache/NAME`.
//!
//! Every success is exactly 200: the client takes any other code for a failure (protocol reference 1.2).

pub mod bulk_query;
mod compression;
mod hash_list;
pub mod info;
pub mod key;
pub mod legacy;
pub mod multipart;
mod nar_info_create;
pub mod nar_url;
pub mod part;
mod part_url;
pub mod pin;

pub use part_url::{PartUrlKey, PartUrlQuery, SignedPart};
