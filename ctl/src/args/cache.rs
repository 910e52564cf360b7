use clap::Subcommand;

/// `cachectl cache …`
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// List the caches
    #[command(after_help = "Example:\n  cachectl cache list")]
    List,
    /// Show all about one cache, and how to use it from a client
    #[command(after_help = "Example:\n  cachectl cache info main")]
    Info {
        /// The name of the cache
        name: String,
    },
    /// Delete a cache that is no longer in the config, or disabled there, with all it holds
    ///
    /// Asks for its name on a terminal. Files of a storage that the daemon does not find any more stay, and are told of.
    /// Exits with 8 while files are left that cannot be deleted.
    #[command(after_help = "Examples:\n  \
        cachectl cache delete old\n  \
        cachectl cache delete old --yes")]
    Delete {
        /// The name of the cache
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}
