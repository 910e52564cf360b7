//! `cachectl` inspects and controls a running cache-server over the daemon's admin socket, and pushes store paths to a server.
//!
//! | module | what is there |
//! |---|---|
//! | `cli` | the command line as a whole, and the values of arguments |
//! | `nouns` | one file per noun: its arguments, its calls, its view |
//! | `client` | finds the daemon, sends a request, returns the reply |
//! | `follow` | follows a long job or a log to its end |
//! | `push` | uploads store paths to a server by its URL |
//! | `output` | tables, fields, units, JSON |
//! | `error`, `exit` | every failure with its text, hint and exit code |

mod cli;
mod client;
mod error;
mod exit;
mod follow;
mod nouns;
mod output;
mod push;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Args;
use crate::error::Error;
use crate::exit::Exit;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            // If standard error is closed, there is no place left for a report.
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
        .block_on(nouns::run(args))
}
