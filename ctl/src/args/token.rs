use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::value;

/// `cachectl token …`
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it
    ///
    /// Prints the token and nothing else, so that scripts can use it. It is told only this once.
    #[command(after_help = "Examples:\n  \
        cachectl token create --cache main --permission write --expires 90d --subject ci\n  \
        cachectl token create --cache main --permission write | cachix authtoken --stdin\n  \
        cachectl token create --workspace production --permission activate")]
    Create(CreateToken),
    /// List all tokens, without the tokens themselves
    #[command(after_help = "Example:\n  cachectl token list")]
    List,
    /// Make a token useless, from now on and for good
    #[command(after_help = "Example:\n  \
        cachectl token revoke 0b9f5a9e-6f0e-4a53-9a2c-3c1d5e7f9b11")]
    Revoke {
        /// The id, as `token list` shows it
        id: String,
    },
}

/// `cachectl token create`
#[derive(Debug, Args)]
pub struct CreateToken {
    /// A cache that the token opens; may be repeated
    #[arg(
        long = "cache",
        value_name = "NAME",
        value_delimiter = ',',
        required_unless_present_any = ["all", "workspace"],
        conflicts_with_all = ["all", "workspace"]
    )]
    pub caches: Vec<String>,
    /// Open every cache, also those that do not exist yet
    #[arg(long, conflicts_with = "workspace")]
    pub all: bool,
    /// The deploy workspace in which the token permits to activate
    #[arg(long, value_name = "NAME")]
    pub workspace: Option<String>,
    /// What the token permits; on caches, each includes those before it
    #[arg(long, value_enum)]
    pub permission: Permission,
    /// When the token ends, from now, such as 12h, 90d or 1y [default: never]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub expires: Option<Duration>,
    /// Whom or what the token is for; shown in lists and logs
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
}

/// What a token permits.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Permission {
    /// Read paths
    Read,
    /// Push paths
    Write,
    /// Change the cache itself: its keys and pins
    Admin,
    /// Activate deployments in a workspace
    Activate,
}

impl From<Permission> for admin_api::Permission {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Read => Self::Read,
            Permission::Write => Self::Write,
            Permission::Admin => Self::Admin,
            Permission::Activate => Self::Activate,
        }
    }
}
