use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `cachectl deploy …`
#[derive(Debug, Subcommand)]
pub enum Deploy {
    /// List deployments, the newest first
    #[command(after_help = "Examples:\n  \
        cachectl deploy list\n  \
        cachectl deploy list --agent webserver --limit 5")]
    List {
        /// List only those of this agent
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// List at most so many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
    /// Show all about a deployment
    #[command(after_help = "Examples:\n  \
        cachectl deploy show webserver\n  \
        cachectl deploy show webserver#7")]
    Show {
        /// AGENT for its newest deployment, AGENT#NUMBER, or the id of one
        deployment: String,
    },
    /// Print what a deployment printed
    ///
    /// With --follow also what it goes on to print, up to its end; then exits with 8 if it failed or was cancelled.
    #[command(after_help = "Examples:\n  \
        cachectl deploy logs webserver#7\n  \
        cachectl deploy logs webserver --follow")]
    Logs {
        /// AGENT for its newest deployment, AGENT#NUMBER, or the id of one
        deployment: String,
        /// Go on until the deployment has ended
        #[arg(long)]
        follow: bool,
    },
    /// Call a deployment off
    ///
    /// An agent that has begun is not stopped, but what it says of this deployment counts no more.
    #[command(after_help = "Example:\n  cachectl deploy cancel webserver")]
    Cancel {
        /// AGENT for its newest deployment, AGENT#NUMBER, or the id of one
        deployment: String,
    },
    /// Have agents run something, as `cachix deploy activate` does
    ///
    /// All agents of the file, or none: what the cache of the workspace does not hold is refused, and so is an agent that
    /// is not in the workspace.
    #[command(after_help = "Examples:\n  \
        cachectl deploy activate deploy.json\n  \
        cachectl deploy activate deploy.json --workspace production --agent webserver")]
    Activate(Activate),
    /// Have an agent run again what it ran before
    ///
    /// After a failed deployment that is what ran before it, after a successful one what that took the place of.
    #[command(after_help = "Example:\n  cachectl deploy rollback webserver")]
    Rollback {
        /// The agent
        agent: String,
    },
}

/// `cachectl deploy activate`
#[derive(Debug, Args)]
pub struct Activate {
    /// The file, in JSON: {"agents": {"NAME": "/nix/store/…"}, "rollbackScript": {"SYSTEM": "/nix/store/…"}}
    #[arg(value_name = "FILE")]
    pub specification: PathBuf,
    /// The workspace of the agents [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// Of the agents in the file only this one; may be repeated
    #[arg(long = "agent", value_name = "NAME", value_delimiter = ',')]
    pub agents: Vec<String>,
    /// Activate also what the cache does not hold
    #[arg(long)]
    pub allow_missing: bool,
}
