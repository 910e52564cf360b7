//! The pages of a cache.

pub mod figures;
mod growth;
pub mod overview;
pub mod paths;
pub mod pins;
