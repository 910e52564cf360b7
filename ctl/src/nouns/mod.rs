//! One file or folder per noun: its arguments, the requests it sends, and the view of the reply.
//!
//! A noun knows nothing of sockets and HTTP (`client`) or of columns and colours (`output`).

pub mod agent;
pub mod backup;
pub mod cache;
pub mod deploy;
pub mod dht;
pub mod doctor;
pub mod export;
pub mod fsck;
pub mod gc;
mod generate;
pub mod import;
pub mod job;
pub mod key;
mod pages;
pub mod path;
pub mod peer;
pub mod pin;
mod problems;
pub mod push;
mod reload;
pub mod status;
pub mod storage;
pub mod token;
pub mod trash;
pub mod upload;
pub mod upstream;
pub mod usage;
pub mod worker;
pub mod workspace;

use crate::cli::{Args, Command};
use crate::client::{Client, socket};
use crate::error::Error;
use crate::output::{Look, Output};

/// Runs the command of a command line.
pub async fn run(args: Args) -> Result<(), Error> {
    let global = args.global;
    let client = Client {
        candidates: socket::candidates(global.socket, |name| std::env::var_os(name)),
        timeout: global.timeout,
    };
    let output = Output { json: global.json, look: Look::of_stdout() };
    match args.command {
        Command::Status(arguments) => status::run(&arguments, &client, &output).await,
        Command::Token(command) => token::run(command, &client, &output).await,
        Command::Agent(command) => agent::run(command, &client, &output).await,
        Command::Workspace(command) => workspace::run(command, &client, &output).await,
        Command::Deploy(command) => deploy::run(command, &client, &output).await,
        Command::Cache(command) => cache::run(command, &client, &output).await,
        Command::Path(command) => path::run(command, &client, &output).await,
        Command::Export(arguments) => export::run(arguments, &client, &output).await,
        Command::Import(arguments) => import::run(arguments, &client, &output).await,
        Command::Push(arguments) => push::run(arguments, global.timeout, &output).await,
        Command::Trash(command) => trash::run(command, &client, &output).await,
        Command::Upload(command) => upload::run(command, &client, &output).await,
        Command::Usage(arguments) => usage::run(arguments, &client, &output).await,
        Command::Storage(command) => storage::run(command, &client, &output).await,
        Command::Fsck(arguments) => fsck::run(arguments, &client, &output).await,
        Command::Job(command) => job::run(command, &client, &output).await,
        Command::Gc(arguments) => gc::run(arguments, &client, &output).await,
        Command::Pin(command) => pin::run(command, &client, &output).await,
        Command::Key(command) => key::run(command, &client, &output).await,
        Command::Worker(command) => worker::run(command, &client, &output).await,
        Command::Peer(command) => peer::run(command, &client, &output).await,
        Command::Upstream(command) => upstream::run(command, &client, &output).await,
        Command::Dht(command) => dht::run(command, &client, &output).await,
        Command::Reload => reload::run(&client, &output).await,
        Command::Backup(arguments) => backup::run(arguments, &client, &output).await,
        Command::Doctor(arguments) => doctor::run(&arguments, client, &output).await,
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { directory } => generate::man_pages(&directory),
    }
}

#[cfg(test)]
mod tests;
