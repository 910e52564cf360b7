use clap::Args;

/// `cachectl fsck`
#[derive(Debug, Args)]
pub struct Fsck {
    /// Look only at this cache [default: all of them]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// Take paths into the catalog that only the storages know, as after the loss of the catalog
    #[arg(long)]
    pub rebuild: bool,
    /// Change nothing, only tell
    #[arg(long)]
    pub dry_run: bool,
}
