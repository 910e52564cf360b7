//! PostgreSQL for tests: a server that the tests of all processes share, and servers of one's own.
//!
//! Needs nothing but the standard library and the programs of PostgreSQL, so that other crates' tests can include this
//! file with `#[path]`. Servers listen on a Unix socket below the directory for temporary files and trust everybody.
//! Nothing of a server outlives its users by more than some seconds.

#![allow(clippy::unwrap_used, dead_code, reason = "those who include it use different parts")]

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time;

/// PostgreSQL does not run as root, so root starts it as this user.
const USER: &str = "postgres";
/// What a shared server does without: the files need not survive a power cut.
const UNSAFE: [&str; 2] = ["fsync=off", "full_page_writes=off"];

/// A server. The shared one stops by itself when no process has used it for a while, any other one when it is dropped.
pub(crate) struct Server {
    programs: PathBuf,
    directory: PathBuf,
    settings: Vec<String>,
    shared: Option<Users>,
}

/// Keeps the shared server alive.
struct Users {
    _locked: File,
}

/// A database of its own, which is removed when it is dropped.
pub(crate) struct Database {
    server: PathBuf,
    programs: PathBuf,
    name: String,
}

impl Server {
    /// The server that all tests share. It is started by the first and stopped some seconds after the last.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed or does not start. No test passes by skipping.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let owner = fs::metadata("/proc/self").unwrap().uid();
            let directory = env::temp_dir().join(format!("cache-server-tests-postgres-{owner}"));
            fs::create_dir_all(&directory).unwrap();
            let users = File::create(directory.join("users")).unwrap();
            users.lock_shared().unwrap();
            let server = Self {
                programs: find_programs(),
                directory,
                settings: UNSAFE.map(str::to_owned).to_vec(),
                shared: Some(Users { _locked: users }),
            };
            let starting = File::create(server.directory.join("starting")).unwrap();
            starting.lock().unwrap();
            if !server.answers() {
                server.create();
                server.start();
                server.stop_when_unused();
            }
            server
        })
    }

    /// A server that can be stopped and started. `settings` are lines of `postgresql.conf`.
    pub(crate) fn private(settings: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cache-server-test-postgres-{}-{number}", process::id());
        let directory = env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let settings = settings.iter().map(|&line| line.to_owned()).collect();
        let server = Self { programs: find_programs(), directory, settings, shared: None };
        server.create();
        server.start();
        server
    }

    /// A private server that does not wait for the disk.
    pub(crate) fn private_and_fast() -> Self {
        Self::private(&UNSAFE)
    }

    /// Creates an empty database.
    pub(crate) fn database(&self) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let nanoseconds = time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}_{nanoseconds}", process::id());
        let database = Database { server: self.socket_directory(), programs: self.programs.clone(), name };
        database.run_in("postgres", &format!("CREATE DATABASE {}", database.name));
        database
    }

    /// The directory of the server's Unix socket.
    pub(crate) fn socket_directory(&self) -> PathBuf {
        self.directory.join("server")
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&self) {
        let directory = self.socket_directory();
        let mut options =
            format!("-k '{}' -c listen_addresses='' -c max_connections=300", directory.display());
        for setting in &self.settings {
            options.push_str(&format!(" -c {setting}"));
        }
        let log = directory.join("log");
        let mut start = self.program("pg_ctl");
        start.arg("start").arg("-D").arg(self.data()).arg("-w").arg("-l").arg(&log).arg("-o").arg(options);
        run(start, &log);
    }

    /// Stops the server as a crash does: connections are cut, nothing is written any more.
    pub(crate) fn crash(&self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("stop").arg("-D").arg(self.data()).args(["-w", "-m", "immediate"]);
        run(stop, &self.socket_directory().join("log"));
    }

    /// Stops the server as an operator does: connections are told and cut.
    pub(crate) fn stop(&self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("stop").arg("-D").arg(self.data()).args(["-w", "-m", "fast"]);
        run(stop, &self.socket_directory().join("log"));
    }

    fn data(&self) -> PathBuf {
        self.socket_directory().join("data")
    }

    fn answers(&self) -> bool {
        let mut ready = Command::new(self.programs.join("pg_isready"));
        ready.arg("-h").arg(self.socket_directory()).stdout(Stdio::null()).stderr(Stdio::null());
        ready.status().is_ok_and(|status| status.success())
    }

    /// Makes the files of a new server, in place of what an earlier one may have left.
    fn create(&self) {
        let directory = self.socket_directory();
        if directory.exists() {
            fs::remove_dir_all(&directory).unwrap();
        }
        fs::create_dir(&directory).unwrap();
        if is_root() {
            let mut chown = Command::new("chown");
            chown.arg(USER).arg(&directory);
            run(chown, Path::new("/dev/null"));
        }
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let mut initdb = self.program("initdb");
        initdb.arg("-D").arg(self.data()).args(["-U", USER, "-A", "trust", "-E", "UTF8"]);
        // Most servers sort text by the rules of a language, which are not those of bytes.
        initdb.args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync"]);
        run(initdb, Path::new("/dev/null"));
    }

    /// Leaves a process behind that stops the server once no other process has used it for ten seconds.
    fn stop_when_unused(&self) {
        let script = r#"
            # One is enough; it may be left from a server that somebody else stopped.
            exec 8>stopping
            flock -n 8 || exit
            unused=0
            while true; do
                sleep 1
                if flock -n -x users true; then unused=$((unused + 1)); else unused=0; fi
                if [ $unused -ge 10 ]; then
                    # Whoever comes now waits, and then starts it anew.
                    exec 9>starting
                    flock -x 9
                    if flock -n -x users true; then
                        "$@" stop -D server/data -m immediate
                        rm -rf server
                        exit
                    fi
                    exec 9>&-
                fi
            done
        "#;
        let pg_ctl = self.program("pg_ctl");
        Command::new("setsid")
            .args(["sh", "-c", script, "sh"])
            .arg(pg_ctl.get_program())
            .args(pg_ctl.get_args())
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A leader of its group, so that setsid goes on in a child and is not waited for.
            .process_group(0)
            .status()
            .unwrap();
    }

    /// A command that runs a program of PostgreSQL as a user that is not root.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", USER, "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.shared.is_none() {
            if self.answers() {
                self.crash();
            }
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

impl Database {
    /// What the catalog connects to.
    pub(crate) fn url(&self) -> String {
        let host: String = self.server.to_str().unwrap().bytes().map(percent_encoded).collect();
        format!("postgres://{USER}@{host}/{}", self.name)
    }

    /// The name of the database.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL and returns what it gives, a line for each row.
    pub(crate) fn run(&self, sql: &str) -> String {
        self.run_in(&self.name, sql)
    }

    fn run_in(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.arg("-h").arg(&self.server).args(["-U", USER, "-d", database, "-X", "-q", "-A", "-t"]);
        psql.args(["-v", "ON_ERROR_STOP=1", "-c", sql]);
        run(psql, Path::new("/dev/null"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may have been stopped, or a test may be failing for a better reason.
        let _ = Command::new(self.programs.join("psql"))
            .arg("-h")
            .arg(&self.server)
            .args(["-U", USER, "-d", "postgres", "-X", "-q", "-c"])
            .arg(format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not within 20 seconds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = time::Instant::now();
    while !condition() {
        assert!(begin.elapsed() < time::Duration::from_secs(20), "waited in vain until {what}");
        thread::sleep(time::Duration::from_millis(20));
    }
}

/// The directory of PostgreSQL's programs: that of the `initdb` in `PATH`, or where Debian puts them, the newest first.
fn find_programs() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path).map(|directory| directory.join("initdb"));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut debian: Vec<_> = versions.map(|version| version.unwrap().path()).collect();
    debian.sort_by_key(|version| {
        version.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok())
    });
    in_path
        .chain(debian.into_iter().rev().map(|version| version.join("bin/initdb")))
        // It may be a link, and the other programs are beside what it points to.
        .filter_map(|initdb| Some(fs::canonicalize(initdb).ok()?.parent()?.to_owned()))
        .find(|directory| ["pg_ctl", "pg_isready", "psql"].iter().all(|name| directory.join(name).exists()))
        .expect(
            "these tests need PostgreSQL: install Debian's package `postgresql`, or put `initdb` into PATH",
        )
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn percent_encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// Runs a command to its end and returns what it printed.
fn run(mut command: Command, log: &Path) -> String {
    let name = command.get_program().to_owned();
    // A server that is started keeps what it inherits, so nobody could wait for the end of a pipe.
    let daemon = command.get_args().any(|argument| argument == "start");
    let output = if daemon {
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.map(|status| process::Output { status, stdout: Vec::new(), stderr: Vec::new() })
    } else {
        command.stdin(Stdio::null()).output()
    };
    let output = output.unwrap_or_else(|error| panic!("cannot run {}: {error}", name.display()));
    assert!(
        output.status.success(),
        "{command:?} failed ({}): {}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        fs::read_to_string(log).unwrap_or_default(),
    );
    String::from_utf8(output.stdout).unwrap()
}
