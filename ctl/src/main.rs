//! `cachectl` asks a running cache-server for its state and tells it what to do, over the daemon's
//! admin socket.
//!
//! Arguments (`args`) select a command (`commands`), which talks to the daemon (`client`, `socket`) and shows the answer
//! (`output`), or follows a long job to its end (`follow`). Whatever fails ends in one `Error` and one exit code.

mod args;
mod client;
mod commands;
mod error;
mod exit;
mod follow;
mod output;
mod socket;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::error::Error;
use crate::exit::Exit;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            // Nothing is left to be done when standard error is closed.
            let _ = writeln!(io::stderr(), "{}", error.report());
            error.exit().into()
        }
    }
}

fn run(args: Args) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?
        .block_on(commands::run(args))
}
