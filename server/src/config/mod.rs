//! Configuration: one YAML file, read whole, checked whole, turned into types.
//!
//! Nothing outside this folder sees YAML, an unresolved path or an unset default. In turn this folder knows nothing
//! of the parts that it configures.

mod model;
mod names;
mod secret;

pub use model::{
    Access, AgentConfig, CacheConfig, Config, LogConfig, LogFormat, PreferredCompression,
    ServerConfig, SigningMode, StorageConfig, StorageKind, StorageType, Strategy, WorkspaceConfig,
};
pub use names::{CacheName, Name, NameError};
pub use secret::{KeySource, Secret, SecretError, SecretSource};
