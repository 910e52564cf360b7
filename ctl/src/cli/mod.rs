//! The command line as a whole. The arguments of each noun are in `nouns`, their values in `value`.

pub mod value;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::exit::Exit;
use crate::nouns::{
    agent, backup, cache, deploy, dht, doctor, export, fsck, gc, import, job, key, path, peer, pin, push,
    status, storage, token, trash, upload, upstream, usage, worker, workspace,
};

/// Inspect and control a cache-server.
///
/// It talks to the daemon through the admin socket, so it runs on the same machine and needs no token. Only `push` goes to a
/// server by its URL, with a token.
#[derive(Debug, Parser)]
#[command(
    name = "cachectl",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = format!(
        "Examples:\n  \
         cachectl status\n  \
         cachectl token create --cache main --permission write --expires 90d\n  \
         cachectl storage list\n\n{}",
        Exit::help(),
    )
)]
pub struct Args {
    /// The options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The options of every command.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The daemon's admin socket
    ///
    /// By default, the first of these on which a daemon listens:
    ///   /run/cache-server/admin.sock
    ///   $XDG_STATE_HOME/cache-server/admin.sock (~/.local/state/cache-server/admin.sock)
    ///   /var/lib/cache-server/admin.sock
    ///
    /// The variable CACHE_SERVER_SOCKET names another one.
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath, verbatim_doc_comment)]
    pub socket: Option<PathBuf>,
    /// Print the daemon's reply as JSON; for a long job, one event per line
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to wait for a reply, or for the next event of a long job
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
    /// Show the state of the daemon, its listeners, caches and storages
    #[command(after_help = "Examples:\n  \
        cachectl status\n  \
        cachectl status --json | jq '.storages[] | select(.state != \"ok\")'\n  \
        cachectl status --exit-code > /dev/null || mail -s 'cache in trouble' root < /dev/null")]
    Status(status::Arguments),
    /// Create, list and revoke tokens
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl token create --cache main --permission write"
    )]
    Token(token::Command),
    /// List or describe deploy agents, or create a token for one
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl agent list")]
    Agent(agent::Command),
    /// List the deploy workspaces, or describe one with its agents
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl workspace info production"
    )]
    Workspace(workspace::Command),
    /// Activate, watch and cancel deployments
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  \
            cachectl deploy list\n  \
            cachectl deploy logs webserver --follow"
    )]
    Deploy(deploy::Command),
    /// List, describe or delete caches
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl cache info main")]
    Cache(cache::Command),
    /// List, describe, delete or restore store paths
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl path info ./result"
    )]
    Path(path::Command),
    /// Import the paths of another binary cache, or of a Nix store, into a cache
    ///
    /// The daemon fetches them, verifies them as it does a push, keeps their signatures and adds its own. The import continues
    /// when this command ends, and after a restart; run the same command to follow it again. Paths that the cache has are not
    /// fetched, so an import that was stopped resumes where it was. Exits with 8 if some paths could not be imported; the result says why.
    ///
    /// A cache behind http or https has no list of its paths, so pipe one into the command; with --closure, a few paths
    /// are enough.
    #[command(after_help = "Examples:\n  \
        cachectl import file:///srv/old-cache --cache main\n  \
        cachectl import 's3://bucket?endpoint=s3.example.org&region=eu' --cache main --rate 50MB\n  \
        cachectl import daemon --cache main --filter 'linux-*' --dry-run\n  \
        nix path-info -r ./result | cachectl import https://attic.example.org/old --cache main")]
    Import(import::Arguments),
    /// Write paths of a cache as a binary cache to a directory or a bucket
    ///
    /// The result is a flat binary cache with narinfo and signatures, which plain Nix and any web server can read. The export
    /// continues when this command ends, and after a restart; run the same command to follow it again. Files that are there
    /// are not written again, and an unfinished file never has its final name. Exits with 8 if some paths could not be exported.
    #[command(after_help = "Examples:\n  \
        cachectl export file:///mnt/usb/cache --cache main\n  \
        cachectl export file:///mnt/usb/cache --cache main ./result\n  \
        cachectl export 's3://bucket/release?region=eu' --cache main --pin release")]
    Export(export::Arguments),
    /// Push store paths of this machine to a server, with everything that they refer to
    ///
    /// Asks the server which paths it lacks, and uploads only those. Needs Nix on this machine and a token, but no admin
    /// socket: the server may be anywhere. A push that was interrupted is resumed by the same command.
    #[command(after_help = "Examples:\n  \
        cachectl push ./result --server https://cache.example.org --cache main --token-file token\n  \
        nix-build | cachectl push --server https://cache.example.org\n  \
        cachectl push --watch-store --cache main")]
    Push(push::Arguments),
    /// List or empty the trash, where removed paths stay for a while
    ///
    /// Paths that `gc` and `path delete` remove stay for the time that `server.trash` says, 24 hours by default. Nobody can see
    /// them, but their files still take space. `path restore` brings a path back. When a storage needs room, the paths that were
    /// removed first go for good.
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl trash list")]
    Trash(trash::Command),
    /// Keep store paths from garbage collection under a name
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  cachectl pin add release ./result"
    )]
    Pin(pin::Command),
    /// List, add and retire the signing keys of caches
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl key list")]
    Key(key::Command),
    /// List and end unfinished uploads
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl upload list")]
    Upload(upload::Command),
    /// Show how much the caches hold, and where
    #[command(after_help = "Examples:\n  \
        cachectl usage\n  \
        cachectl usage --cache main --by storage\n  \
        cachectl usage --by age --top 20")]
    Usage(usage::Arguments),
    /// Remove the store paths that nothing keeps
    ///
    /// A path is kept if it is pinned, if it was pushed or used within the retention of its cache, or if a path that is
    /// kept refers to it. The daemon collects garbage at intervals; this command does it now. Exits with 8 if some
    /// paths could not be removed because their storage does not answer.
    ///
    /// On a terminal, shows what would be removed and asks. Scripts are not asked: without a terminal, or with --json or --yes,
    /// the command begins at once.
    ///
    /// Nothing is collected while the system clock is in doubt, because it jumped or because the daemon was down for more
    /// than 3 days. If `date` shows the right time, pass --accept-clock.
    #[command(after_help = "Examples:\n  \
        cachectl gc --dry-run\n  \
        cachectl gc --cache main --to-size 500GiB\n  \
        cachectl gc --older-than 90d\n  \
        cachectl gc --explain ./result")]
    Gc(gc::Arguments),
    /// List, drain, rebalance and scrub storages
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Examples:\n  \
            cachectl storage list\n  \
            cachectl storage scrub --rate 50MB"
    )]
    Storage(storage::Command),
    /// Compare the catalog with the storages, and repair what is safe
    ///
    /// Hides paths whose file is missing or has the wrong size, removes files that no path needs, and rewrites missing
    /// narinfo files. Exits with 9 if something remains to be repaired: paths to push again, or a problem that a warning
    /// names.
    #[command(after_help = "Examples:\n  \
        cachectl fsck --dry-run\n  \
        cachectl fsck --cache main --rebuild")]
    Fsck(fsck::Arguments),
    /// List and stop long jobs
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl job list")]
    Job(job::Command),
    /// List, pause and resume the daemon's background workers
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl worker list")]
    Worker(worker::Command),
    /// List the other nodes of the network, or check whether they answer
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl peer list")]
    Peer(peer::Command),
    /// List the upstreams of the caches, or check whether they answer
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl upstream list")]
    Upstream(upstream::Command),
    /// Inspect the DHT through which nodes find each other
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  cachectl dht status")]
    Dht(dht::Command),
    /// Reload the config
    ///
    /// No connection is dropped, and a faulty config changes nothing. Prints what changed, and which changes need a
    /// restart.
    #[command(after_help = "Example:\n  cachectl reload")]
    Reload,
    /// Write a copy of the catalog while the daemon runs
    ///
    /// The daemon writes the file, so the daemon's user needs the permission to. Only an SQLite catalog can be copied;
    /// PostgreSQL has its own tools.
    #[command(after_help = "Example:\n  cachectl backup /var/backups/cache-server.backup")]
    Backup(backup::Arguments),
    /// Check the installation, and say how to fix what is wrong
    ///
    /// Works without a daemon too, and then says why none answers. Exits with 9 if something does not work.
    #[command(after_help = "Examples:\n  \
        cachectl doctor\n  \
        cachectl doctor --config /etc/cache-server/config.yaml\n  \
        cachectl doctor --json | jq '.[] | select(.level != \"ok\")'")]
    Doctor(doctor::Arguments),
    /// Print a completion script for a shell
    ///
    /// The script asks cachectl for the commands and options, and through it the daemon for the names of caches, storages,
    /// workers, agents, jobs and tokens.
    #[command(after_help = "Examples:\n  \
        cachectl completions bash > ~/.local/share/bash-completion/completions/cachectl\n  \
        cachectl completions zsh > /usr/local/share/zsh/site-functions/_cachectl\n  \
        cachectl completions fish > ~/.config/fish/completions/cachectl.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages, for packages
    #[command(hide = true, after_help = "Example:\n  cachectl man share/man/man1")]
    Man {
        /// The directory to write to; must exist
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

#[cfg(test)]
mod tests;
