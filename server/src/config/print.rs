//! Writing a configuration out with every key, secrets masked.

use super::{Config, keys};

/// The configuration as YAML with every key. Keys without a value are `null`, which loads as if they were absent; secrets
/// are `***`. Apart from the secrets it loads as the same configuration on the same machine.
pub fn print_config(config: &Config) -> String {
    let file = keys::FILE.print(config);
    serde_yaml::to_string(&file).expect("a tree of texts and numbers can be written as YAML")
}
