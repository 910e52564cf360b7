//! Completion scripts and man pages, generated from the command line. No request goes to the daemon.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::cli::Args;
use crate::error::Error;
use crate::output::write_stdout;

/// The variable in which the script of a shell says what it completes.
const VARIABLE: &str = "COMPLETE";

/// The program that the script calls.
const PROGRAM: &str = "cachectl";

/// `cachectl completions`
pub fn completions(shell: Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let name = shell.to_string();
    let completer = shells.completer(&name).expect("clap_complete has a completer for each of its shells");
    completer.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script).map_err(Error::Output)?;
    match write_stdout(&String::from_utf8_lossy(&script)) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Error::Output),
    }
}

/// `cachectl man`: writes a page for each command that is not hidden.
pub fn man_pages(directory: &Path) -> Result<(), Error> {
    clap_mangen::generate_to(Args::command(), directory)
        .map_err(|source| Error::ManPages { directory: directory.to_owned(), source })
}
