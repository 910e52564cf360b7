//! One file per noun: asks the daemon and says what to show of the answer.

mod agent;
mod backup;
mod cache;
mod deploy;
mod dht;
mod doctor;
mod fsck;
mod gc;
mod generate;
mod job;
mod key;
mod path;
mod peer;
mod pin;
mod reload;
mod status;
mod storage;
mod token;
mod usage;
mod worker;
mod workspace;

use crate::args::{Args, Command};
use crate::client::Client;
use crate::error::Error;
use crate::output::{Look, Output};
use crate::socket;

/// Does what the command line says.
pub async fn run(args: Args) -> Result<(), Error> {
    let global = args.global;
    let client = Client {
        candidates: socket::candidates(global.socket, |name| std::env::var_os(name)),
        timeout: global.timeout,
    };
    let output = Output { json: global.json, look: Look::of_stdout() };
    match args.command {
        Command::Status => status::run(&client, &output).await,
        Command::Token(command) => token::run(command, &client, &output).await,
        Command::Agent(command) => agent::run(command, &client, &output).await,
        Command::Workspace(command) => workspace::run(command, &client, &output).await,
        Command::Deploy(command) => deploy::run(command, &client, &output).await,
        Command::Cache(command) => cache::run(command, &client, &output).await,
        Command::Path(command) => path::run(command, &client, &output).await,
        Command::Usage(command) => usage::run(command, &client, &output).await,
        Command::Storage(command) => storage::run(command, &client, &output).await,
        Command::Fsck(command) => fsck::run(command, &client, &output).await,
        Command::Job(command) => job::run(command, &client, &output).await,
        Command::Gc(command) => gc::run(command, &client, &output).await,
        Command::Pin(command) => pin::run(command, &client, &output).await,
        Command::Key(command) => key::run(command, &client, &output).await,
        Command::Worker(command) => worker::run(command, &client, &output).await,
        Command::Peer(command) => peer::run(command, &client, &output).await,
        Command::Dht(command) => dht::run(command, &client, &output).await,
        Command::Reload => reload::run(&client, &output).await,
        Command::Backup { file } => backup::run(file, &client, &output).await,
        Command::Doctor => doctor::run(&client, &output).await,
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { directory } => generate::man_pages(&directory),
    }
}

#[cfg(test)]
mod tests;
