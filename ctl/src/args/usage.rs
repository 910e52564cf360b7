use clap::{Args, ValueEnum};

/// `cachectl usage`
#[derive(Debug, Args)]
pub struct Usage {
    /// Show only this cache [default: all of them]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// Show only one kind of figures [default: those by storage and by cache]
    #[arg(long, value_enum)]
    pub by: Option<Grouping>,
    /// Show also so many of the paths with the largest files
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
}

/// What the figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grouping {
    /// Each storage
    Storage,
    /// Each cache
    Cache,
    /// The paths by the time since they were last used
    Age,
}
