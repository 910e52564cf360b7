use clap::Subcommand;

/// `cachectl worker …`
#[derive(Debug, Subcommand)]
pub enum Worker {
    /// List what the daemon does by itself, and the long jobs that run
    #[command(after_help = "Examples:\n  \
        cachectl worker list\n  \
        cachectl worker list --json | jq '.workers[] | select(.errors_in_a_row > 0)'")]
    List,
    /// Let a worker rest until it is resumed, or the daemon starts again
    #[command(after_help = "Example:\n  cachectl worker pause gc")]
    Pause {
        /// The name, as `worker list` shows it
        name: String,
    },
    /// Let a paused worker go on
    #[command(after_help = "Example:\n  cachectl worker resume gc")]
    Resume {
        /// The name, as `worker list` shows it
        name: String,
    },
}
