//! Which key a person meant by one that is unknown.

pub use admin_api::nearest;

use super::ALL;
use super::table::AnyTable;

impl dyn AnyTable {
    /// The key of this mapping that a person meant by one that it does not have.
    pub fn nearest(&self, key: &str) -> Option<&'static str> {
        nearest(key, self.names())
    }

    /// What a person should write who wrote `key`, which is not a key of this mapping.
    pub fn suggest(&self, key: &str) -> Option<String> {
        if let Some(meant) = self.nearest(key) {
            return Some(format!("did you mean `{meant}`?"));
        }
        let elsewhere = ALL.into_iter().find(|other| other.has(key))?;
        Some(format!("it belongs in {}", elsewhere.title()))
    }
}
