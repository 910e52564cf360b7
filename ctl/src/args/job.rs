use clap::Subcommand;

/// `cachectl job …`
#[derive(Debug, Subcommand)]
pub enum Job {
    /// List the jobs that run and the last that ended
    #[command(after_help = "Examples:\n  \
        cachectl job list\n  \
        cachectl job list --json | jq '.[] | select(.state == \"running\")'")]
    List,
    /// Stop a job; what it has done stays done
    #[command(after_help = "Example:\n  cachectl job stop 7")]
    Stop {
        /// The id, as `job list` shows it
        id: String,
    },
}
