use clap::{Args, Subcommand};

use super::StorePath;

/// `cachectl path …`
#[derive(Debug, Subcommand)]
pub enum Path {
    /// List the store paths of a cache, in the order of their hashes
    #[command(after_help = "Examples:\n  \
        cachectl path list hello\n  \
        cachectl path list --cache main --limit 1000\n  \
        cachectl path list --all --json | jq -r '.paths[] | select(.damaged) | .store_path'")]
    List(ListPaths),
    /// Show what the caches know about a store path
    ///
    /// With --cache, --json prints one object; without, an array with one object per cache that
    /// holds the path.
    #[command(after_help = "Examples:\n  \
        cachectl path info /nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1\n  \
        cachectl path info 0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq --cache main")]
    Info(WhichPath),
    /// Show why garbage collection keeps a store path, or does not
    ///
    /// With --cache, --json prints one object; without, an array with one object per cache that
    /// holds the path.
    #[command(after_help = "Example:\n  cachectl path why $(readlink ./result)")]
    Why(WhichPath),
    /// Delete a store path, however lately it was used
    ///
    /// Refused if other paths refer to it, or if a pin holds it: remove the pin first. Clients can push it again.
    #[command(after_help = "Examples:\n  \
        cachectl path delete /nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1\n  \
        cachectl path delete 0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq --cache main --recursive")]
    Delete {
        /// /nix/store/HASH-NAME, HASH-NAME or HASH
        #[arg(value_name = "PATH")]
        path: StorePath,
        /// The cache to delete it from [default: the only one]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
        /// Delete also what refers to it, directly or not
        #[arg(long)]
        recursive: bool,
    },
}

/// A path to look up.
#[derive(Debug, Args)]
pub struct WhichPath {
    /// /nix/store/HASH-NAME, HASH-NAME or HASH
    pub path: StorePath,
    /// Look only in this cache [default: in all of them]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
}

/// `cachectl path list`
#[derive(Debug, Args)]
pub struct ListPaths {
    /// Only those with this text in their HASH-NAME, in upper or lower case
    pub query: Option<String>,
    /// The cache to look in [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// List no more than so many
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// List all of them, however many
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// Begin behind this path
    #[arg(long, value_name = "PATH")]
    pub after: Option<StorePath>,
}
