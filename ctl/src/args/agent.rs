use std::time::Duration;

use clap::{Args, Subcommand};

use super::value;

/// `cachectl agent …`
#[derive(Debug, Subcommand)]
pub enum Agent {
    /// List the agents, with what they run
    #[command(after_help = "Example:\n  cachectl agent list")]
    List,
    /// Show all about an agent
    #[command(after_help = "Example:\n  cachectl agent info webserver")]
    Info {
        /// The agent, as the config names it
        name: String,
    },
    /// Make a token for a deploy agent and print it
    ///
    /// The token lets its holder be that agent, and read the cache of its workspace. It is told only this once; those
    /// made before stay good until they are revoked.
    #[command(after_help = "Examples:\n  \
        cachectl agent token webserver\n  \
        cachectl agent token webserver --expires 1y")]
    Token(AgentToken),
}

/// `cachectl agent token`
#[derive(Debug, Args)]
pub struct AgentToken {
    /// The agent, as the config names it
    pub name: String,
    /// When the token ends, from now, such as 12h, 90d or 1y [default: never]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub expires: Option<Duration>,
    /// Whom or what the token is for; shown in lists and logs
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
}
