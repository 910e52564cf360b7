//! The daemon as a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

/// The binary under test.
pub const DAEMON: &str = env!("CARGO_BIN_EXE_cache-server");

/// How long a daemon may take to end once it was told to. Longer than its own drain timeout in any test.
const END: Duration = Duration::from_secs(60);

/// The command line tool, which is built into the same directory.
pub fn cachectl() -> PathBuf {
    let tool = Path::new(DAEMON).with_file_name("cachectl");
    assert!(tool.exists(), "{} is missing; build the workspace first: ./test.sh", tool.display());
    tool
}

/// A running daemon. It is killed when dropped, and a failing test shows its log.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with its output in the file `log`, which is appended to.
    pub fn spawn(command: &mut Command, log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{DAEMON}: {error}"));
        Self { child, log: log.to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Power off: nothing is flushed, nobody is told.
    pub fn kill9(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().unwrap();
    }

    /// Asks the daemon to end and does not wait for it.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGTERM, and the exit status that follows.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_for(END, "the daemon ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!("--- log of the daemon ---\n{}--- end of log ---", self.log());
        }
    }
}
