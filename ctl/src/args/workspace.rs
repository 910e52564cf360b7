use clap::Subcommand;

/// `cachectl workspace …`
#[derive(Debug, Subcommand)]
pub enum Workspace {
    /// List the workspaces
    #[command(after_help = "Example:\n  cachectl workspace list")]
    List,
    /// Show a workspace with its agents
    #[command(after_help = "Example:\n  cachectl workspace info production")]
    Info {
        /// The workspace, as the config names it
        name: String,
    },
}
