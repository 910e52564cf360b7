//! The command line.

mod fsck;
mod job;
mod storage;
mod usage;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::exit::Exit;
pub use fsck::Fsck;
pub use job::Job;
pub use storage::{Scrub, Storage};
pub use usage::{Grouping, Usage};
pub use value::StoreHash;

/// Look into and run a cache-server.
///
/// Talks to the daemon through its admin socket, so it runs on the same machine and needs no token.
#[derive(Debug, Parser)]
#[command(
    name = "cachectl",
    version,
    arg_required_else_help = true,
    after_help = format!(
        "Examples:\n  \
         cachectl status\n  \
         cachectl token create --cache main --permission write --expires 90d\n  \
         cachectl storage list\n\n{}",
        Exit::help(),
    )
)]
pub struct Args {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The daemon's admin socket
    ///
    /// Without it, the first of these where a daemon listens:
    ///   /run/cache-server/admin.sock
    ///   $XDG_STATE_HOME/cache-server/admin.sock (~/.local/state/cache-server/admin.sock)
    ///   /var/lib/cache-server/admin.sock
    #[arg(long, global = true, value_name = "PATH", env = "CACHE_SERVER_SOCKET", verbatim_doc_comment)]
    pub socket: Option<PathBuf>,
    /// Print the daemon's answer as JSON; of a long job, one event a line
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to wait for each answer of the daemon, and for each sign of life of a long job
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        default_value = "30s",
        value_parser = value::duration
    )]
    pub timeout: Duration,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how the daemon is doing: what it listens on, its caches and storages
    #[command(after_help = "Examples:\n  \
        cachectl status\n  \
        cachectl status --json | jq '.storages[] | select(.state != \"ok\")'")]
    Status,
    /// Make, list and revoke tokens
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl token create --cache main --permission write"
    )]
    Token(Token),
    /// List the caches, or show all about one
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl cache info main")]
    Cache(Cache),
    /// Look into the store paths of the caches
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl path info $(readlink ./result)"
    )]
    Path(Path),
    /// Show how much the caches hold, and how it is spread over their storages
    #[command(after_help = "Examples:\n  \
        cachectl usage\n  \
        cachectl usage --cache main --by storage")]
    Usage(Usage),
    /// List the storages, empty one, balance them, or check their files
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  \
            cachectl storage list\n  \
            cachectl storage scrub --rate 50MB"
    )]
    Storage(Storage),
    /// Compare the catalog with the storages and repair what is safe to repair
    ///
    /// Hides paths whose file is missing or has the wrong size, removes files that no path needs, and writes missing
    /// narinfo files. Exits with 9 if something cannot be repaired here: paths to be pushed again, or what the notes
    /// tell.
    #[command(after_help = "Examples:\n  \
        cachectl fsck --dry-run\n  \
        cachectl fsck --cache main --rebuild")]
    Fsck(Fsck),
    /// List and stop long jobs
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl job list")]
    Job(Job),
}

/// `cachectl token …`
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it
    ///
    /// Prints the token and nothing else, so that scripts can use it. It is told only this once.
    #[command(after_help = "Examples:\n  \
        cachectl token create --cache main --permission write --expires 90d --subject ci\n  \
        cachectl token create --cache main --permission write | cachix authtoken --stdin")]
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
#[derive(Debug, ClapArgs)]
pub struct CreateToken {
    /// A cache that the token opens; may be repeated
    #[arg(
        long = "cache",
        value_name = "NAME",
        value_delimiter = ',',
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub caches: Vec<String>,
    /// Open every cache, also those that do not exist yet
    #[arg(long)]
    pub all: bool,
    /// What the token permits; each includes those before it
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
}

impl From<Permission> for admin_api::Permission {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Read => Self::Read,
            Permission::Write => Self::Write,
            Permission::Admin => Self::Admin,
        }
    }
}

/// `cachectl cache …`
#[derive(Debug, Subcommand)]
pub enum Cache {
    /// List the caches
    #[command(after_help = "Example:\n  cachectl cache list")]
    List,
    /// Show all about one cache, and how to use it from a client
    #[command(after_help = "Example:\n  cachectl cache info main")]
    Info {
        /// The name of the cache
        name: String,
    },
}

/// `cachectl path …`
#[derive(Debug, Subcommand)]
pub enum Path {
    /// Show what the caches know about a store path
    ///
    /// With --cache, --json prints one object; without, an array with one object per cache that
    /// holds the path.
    #[command(after_help = "Examples:\n  \
        cachectl path info /nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1\n  \
        cachectl path info 0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq --cache main")]
    Info {
        /// /nix/store/HASH-NAME, HASH-NAME or HASH
        #[arg(value_name = "PATH")]
        path: StoreHash,
        /// Look only in this cache [default: in all of them]
        #[arg(long, value_name = "NAME")]
        cache: Option<String>,
    },
}

#[cfg(test)]
mod tests;
