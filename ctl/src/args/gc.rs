use std::time::Duration;

use clap::Args;

use super::{StorePath, value};

/// `cachectl gc`
#[derive(Debug, Args)]
pub struct Gc {
    /// Collect only in this cache [default: in all of them]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// Remove nothing, only tell what would go, and why
    #[arg(long)]
    pub dry_run: bool,
    /// Go on with the least recently used paths until each cache has no more than this, such as 500GiB
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub to_size: Option<u64>,
    /// Keep unused paths for so long, such as 12h or 30d, whatever the retention of the cache is
    #[arg(long, value_name = "AGE", value_parser = value::age)]
    pub older_than: Option<Duration>,
    /// Believe the system clock as it is now, although it does not fit the time that was last seen
    #[arg(long)]
    pub accept_clock: bool,
    /// Collect nothing, but show why a path is kept or not, as `path why` does
    #[arg(long, value_name = "PATH", conflicts_with_all = ["dry_run", "to_size", "older_than", "accept_clock"])]
    pub explain: Option<StorePath>,
}
