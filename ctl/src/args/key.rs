use std::path::PathBuf;

use clap::Subcommand;

/// `cachectl key …`
#[derive(Debug, Subcommand)]
pub enum Key {
    /// List the signing keys, without their secret halves
    #[command(after_help = "Example:\n  cachectl key list --cache main")]
    List {
        /// List only those of this cache [default: of all of them]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
    },
    /// Add a key that signs from now on, beside those there are
    ///
    /// It also signs what the cache holds already, so clients may trust it alone from then on. They need its public half,
    /// which is printed. A cache with a `signing-key-file` in the config has the keys of that list only.
    #[command(after_help = "Examples:\n  \
        cachectl key add\n  \
        cachectl key add --cache main --file secret-key\n  \
        nix key generate-secret --key-name main-2 | cachectl key add --file -")]
    Add {
        /// The cache that gets it [default: the only one]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
        /// A file with the secret half, as `nix key generate-secret` writes it, or - for standard input
        /// [default: the daemon makes a key]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Let a key sign no more
    ///
    /// What it has signed stays valid for clients that trust it, but the cache publishes its public half no more. The last
    /// key of a cache cannot be retired.
    #[command(after_help = "Example:\n  cachectl key retire main.cache.example.org-1")]
    Retire {
        /// The name of the key, or its public half
        key: String,
        /// The cache it belongs to [default: the one that has a key of that name]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
    },
}
