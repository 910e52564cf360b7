use clap::{Args, Subcommand};

use super::value;

/// `cachectl storage …`
#[derive(Debug, Subcommand)]
pub enum Storage {
    /// List the storages: how they are, how full, and what share of their cache they have
    #[command(after_help = "Examples:\n  \
        cachectl storage list\n  \
        cachectl storage list --json | jq '.[] | select(.damaged > 0)'")]
    List {
        /// List only those of this cache [default: of all of them]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
    },
    /// Move everything off a storage, to where the strategy of its cache says
    ///
    /// Set `draining: true` for it in the config first, so that nothing new goes there. The job goes on when this
    /// command ends, and resumes when it was stopped. Exits with 8 while files are left there.
    #[command(after_help = "Examples:\n  \
        cachectl storage drain old-disk\n  \
        cachectl storage drain old-disk --cache main")]
    Drain {
        /// The storage to empty
        name: String,
        /// The cache it belongs to [default: the only one with a storage of this name]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
    },
    /// Move files until each storage has the share it should have
    #[command(after_help = "Examples:\n  \
        cachectl storage rebalance\n  \
        cachectl storage rebalance --cache main")]
    Rebalance {
        /// Balance only this cache [default: all of them]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
    },
    /// Read every file and compare it with its hash
    ///
    /// Paths whose file is damaged are hidden until they are pushed again; then this command exits with 9. It resumes
    /// where the last scrub left off.
    #[command(after_help = "Examples:\n  \
        cachectl storage scrub\n  \
        cachectl storage scrub old-disk --cache main --rate 50MB")]
    Scrub(Scrub),
}

/// `cachectl storage scrub`
#[derive(Debug, Args)]
pub struct Scrub {
    /// Check only this storage [default: all of them]
    pub name: Option<String>,
    /// Check only this cache [default: all of them]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// Read no more than this per second, such as 50MB or 1GiB [default: what the daemon holds right]
    #[arg(long, value_name = "SIZE", value_parser = value::rate)]
    pub rate: Option<u64>,
    /// Begin anew
    #[arg(long)]
    pub restart: bool,
}
