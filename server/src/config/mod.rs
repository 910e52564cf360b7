//! Configuration: one YAML file, read whole, checked whole, turned into types.
//!
//! [`find`] the file, [`load()`] it or take the [`builtin`] one, [`check()`] it against this machine, [`print_config`] the
//! result. `keys` defines every key once, `decode` has the rules between keys, and [`mod@reference`] writes the documentation.
//! Nothing outside this folder sees YAML, an unresolved path or an unset default. In turn this folder knows nothing of the
//! parts that it configures.

mod check;
mod claims;
mod condition;
mod database;
mod decode;
mod environment;
mod fault;
mod group;
mod keys;
mod load;
mod model;
mod names;
mod print;
pub mod reference;
mod secret;
mod section;
mod stated;
mod values;
mod words;
mod wrong;
mod yaml;

#[cfg(test)]
mod tests;

pub use check::{Reach, check};
pub use condition::{Condition, Pattern};
pub use database::DatabaseUrl;
pub use environment::{Environment, find};
pub use fault::{Fault, Faults, Severity};
pub use group::find_group;
pub use load::{Loaded, builtin, load, load_again};
pub use model::{
    AccessRule, AgentConfig, CacheConfig, CacheFederation, CacheTls, Config, FederationConfig, LogConfig,
    OidcProvider, S3Config, ServerConfig, ServerTls, StorageConfig, StorageKind, Upstream,
    UpstreamCredentials, WorkspaceConfig,
};
pub use names::{CacheName, Name, NameError};
pub use print::print_config;
pub use secret::{KeySource, SHORTEST_KEY, Secret, SecretError, SecretSource};
pub use stated::Stated;
pub use values::BUCKET_PARAMETERS;
pub use words::{
    Access, Closures, CopiesBeforeAnswer, FederationTrust, LogFormat, OidcAlgorithm, PreferredCompression,
    RulePermission, SigningMode, StorageType, Strategy, WhenFull,
};
