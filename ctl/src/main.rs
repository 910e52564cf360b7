//! The `cachectl` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cachectl::main()
}
