//! `cachectl` inspects and controls a running cache-server over the daemon's admin socket, and pushes store paths to a
//! server.
//!
//! It is a library so that the daemon's program can be `cachectl` too, when it is called by that name.
//!
//! | module | what is there |
//! |---|---|
//! | `cli` | the command line as a whole, and the values of arguments |
//! | `complete` | the names of caches, storages and so on for completions |
//! | `nouns` | one file per noun: its arguments, its calls, its view |
//! | `client` | finds the daemon, sends a request, returns the reply |
//! | `follow` | follows a long job or a log to its end |
//! | `push` | uploads store paths to a server by its URL |
//! | `output` | tables, fields, units, JSON |
//! | `error`, `exit` | every failure with its text, hint and exit code |

mod cli;
mod client;
mod complete;
mod error;
mod exit;
mod follow;
mod nouns;
mod output;
mod push;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use clap_complete::CompleteEnv;

use crate::cli::Args;
use crate::error::Error;
use crate::exit::Exit;

/// The program: reads the command line of the process, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    // A shell that completes a command line sets a variable. This answers it and ends the process.
    CompleteEnv::with_factory(Args::command).bin("cachectl").completer("cachectl").complete();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(wrong) => return report_usage(&wrong),
    };
    let json = args.global.json;
    match run(args) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            let text = if json { error.to_json() } else { error.report() };
            // If standard error is closed, there is no place left for a report.
            let _ = writeln!(io::stderr(), "{text}");
            error.exit().into()
        }
    }
}

/// Reports a wrong command line, or prints the help or the version.
fn report_usage(wrong: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|word| word == "--json");
    if wants_json && wrong.use_stderr() {
        let _ = writeln!(io::stderr(), "{}", error::usage_to_json(wrong));
        return Exit::Usage.into();
    }
    // A reader that has enough is no failure.
    let _ = wrong.print();
    if wrong.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}

fn run(args: Args) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?
        .block_on(nouns::run(args))
}
