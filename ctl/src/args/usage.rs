use clap::{Args, ValueEnum};

/// `cachectl usage`
#[derive(Debug, Args)]
pub struct Usage {
    /// Show only this cache [default: all of them]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// Show only one kind of figures [default: both]
    #[arg(long, value_enum)]
    pub by: Option<Grouping>,
}

/// What the figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grouping {
    /// Each storage
    Storage,
    /// Each cache
    Cache,
}
