use clap::{Args, Subcommand};

use super::StorePath;

/// `cachectl pin …`
#[derive(Debug, Subcommand)]
pub enum Pin {
    /// Keep a store path, and all it refers to, under a name
    ///
    /// A name that exists gets a further revision; those before stay as long as they were to be kept.
    #[command(after_help = "Examples:\n  \
        cachectl pin add release $(readlink ./result)\n  \
        cachectl pin add nightly $(readlink ./result) --cache main --keep-revisions 7")]
    Add(AddPin),
    /// List the pins, each with its newest revision first
    #[command(after_help = "Example:\n  cachectl pin list --cache main")]
    List {
        /// List only those of this cache [default: of all of them]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
    },
    /// Remove a pin, so that garbage collection may take what it kept
    #[command(after_help = "Examples:\n  \
        cachectl pin remove release\n  \
        cachectl pin remove nightly --cache main --revision 3")]
    Remove {
        /// The name of the pin
        name: String,
        /// The cache it belongs to [default: the only one]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
        /// Remove only this revision [default: all of them]
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
    },
}

/// `cachectl pin add`
#[derive(Debug, Args)]
pub struct AddPin {
    /// The name of the pin
    pub name: String,
    /// /nix/store/HASH-NAME, HASH-NAME or HASH
    pub path: StorePath,
    /// The cache that holds the path [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// Keep this revision for so many days [default: until it is removed]
    #[arg(
        long,
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "keep_revisions"
    )]
    pub keep_days: Option<u32>,
    /// Keep the newest so many revisions, this one included, and remove the others
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_revisions: Option<u32>,
}
