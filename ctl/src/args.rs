//! The command line.

mod agent;
mod cache;
mod deploy;
mod dht;
mod fsck;
mod gc;
mod job;
mod key;
mod path;
mod peer;
mod pin;
mod storage;
mod token;
mod usage;
mod value;
mod worker;
mod workspace;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit::Exit;
pub use agent::Agent;
pub use cache::Cache;
pub use deploy::{Activate, Deploy};
pub use dht::Dht;
pub use fsck::Fsck;
pub use gc::Gc;
pub use job::Job;
pub use key::Key;
pub use path::{ListPaths, Path, WhichPath};
pub use peer::Peer;
pub use pin::{AddPin, Pin};
pub use storage::{Scrub, Storage};
pub use token::Token;
pub use usage::{Grouping, Usage};
pub use value::StorePath;
pub use worker::Worker;
pub use workspace::Workspace;

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
    /// List the deploy agents, show all about one, or make a token for one
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl agent list")]
    Agent(Agent),
    /// List the deploy workspaces, or show one with its agents
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl workspace info production"
    )]
    Workspace(Workspace),
    /// Say what deploy agents are to run, and see what becomes of it
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  \
            cachectl deploy list\n  \
            cachectl deploy logs webserver --follow"
    )]
    Deploy(Deploy),
    /// List the caches, show all about one, or delete one
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl cache info main")]
    Cache(Cache),
    /// Look into the store paths of the caches, or delete one
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl path info $(readlink ./result)"
    )]
    Path(Path),
    /// Keep store paths from garbage collection under a name
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl pin add release $(readlink ./result)"
    )]
    Pin(Pin),
    /// List the signing keys of caches, add or retire one
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl key list")]
    Key(Key),
    /// Show how much the caches hold, and how it is spread
    #[command(after_help = "Examples:\n  \
        cachectl usage\n  \
        cachectl usage --cache main --by storage\n  \
        cachectl usage --by age --top 20")]
    Usage(Usage),
    /// Remove the store paths that nothing keeps
    ///
    /// Kept are those that are pinned, were pushed or used within the retention of their cache, or are referred to by
    /// one that is kept. The daemon does this by itself now and then; here it is done at once. Exits with 8 if paths
    /// have to stay because their storage does not answer.
    ///
    /// Nothing is collected while the system clock is in doubt: it jumped, or the daemon was away for more than 3 days.
    /// If `date` shows the right time, pass --accept-clock to collect anyway.
    #[command(after_help = "Examples:\n  \
        cachectl gc --dry-run\n  \
        cachectl gc --cache main --to-size 500GiB\n  \
        cachectl gc --older-than 90d\n  \
        cachectl gc --explain $(readlink ./result)")]
    Gc(Gc),
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
    /// List, pause and resume what the daemon does by itself
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl worker list")]
    Worker(Worker),
    /// List the other nodes of the network, or ask them for a sign of life
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl peer list")]
    Peer(Peer),
    /// Look into the DHT by which nodes find each other
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl dht status")]
    Dht(Dht),
    /// Let the daemon read its config again
    ///
    /// No connection is dropped. A faulty config changes nothing. Tells what was changed, and what takes a restart.
    #[command(after_help = "Example:\n  cachectl reload")]
    Reload,
    /// Write a copy of the catalog while the daemon runs
    ///
    /// The daemon writes the file, so it has to have the right to. Only a catalog in SQLite can be copied like this;
    /// PostgreSQL has its own means.
    #[command(after_help = "Example:\n  cachectl backup /var/backups/catalog.sqlite")]
    Backup {
        /// The file to write; must not exist
        #[arg(value_name = "FILE", value_parser = value::absolute)]
        file: String,
    },
    /// Check the installation and say what to do about what is wrong
    ///
    /// Also without a daemon, then to find out why there is none. Exits with 9 if something does not work.
    #[command(after_help = "Examples:\n  \
        cachectl doctor\n  \
        cachectl doctor --json | jq '.[] | select(.level != \"ok\")'")]
    Doctor,
    /// Print a script that lets a shell complete the commands
    #[command(after_help = "Examples:\n  \
        cachectl completions bash > ~/.local/share/bash-completion/completions/cachectl\n  \
        cachectl completions fish > ~/.config/fish/completions/cachectl.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages, for packages
    #[command(hide = true, after_help = "Example:\n  cachectl man share/man/man1")]
    Man {
        /// The directory to write them to; must exist
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

#[cfg(test)]
mod tests;
