//! Completion scripts and man pages, generated from the command line. No request goes to the daemon.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Args;
use crate::error::Error;
use crate::output::write_stdout;

/// `cachectl completions`
pub fn completions(shell: Shell) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "cachectl", &mut script);
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
