//! A real S3 service for tests: a Garage server on loopback, with one bucket and one key that may do everything.

use std::env;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Region that the server goes by.
pub const REGION: &str = "garage";
/// The bucket there is.
pub const BUCKET: &str = "cache";
/// Access key id of the key there is.
pub const ACCESS_KEY: &str = "GK0123456789abcdef01234567";
/// Its secret.
pub const SECRET_KEY: &str = "4a6f1e0c9b8d7253e1f09a4b5c6d7e8f0123456789abcdeffedcba9876543210";

/// Where `test.sh` installs the tools that only tests need.
const TOOLS: &str = "/opt/cache-server-test-tools/bin";
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server, which ends with the value.
pub struct Garage {
    directory: TempDir,
    ports: Ports,
    process: Child,
}

#[derive(Clone, Copy)]
struct Ports {
    s3: u16,
    rpc: u16,
}

impl Garage {
    /// A fresh server. Blocks until it answers.
    ///
    /// # Panics
    ///
    /// Without the program `garage`, as a test that cannot run has failed.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Somebody else may take a port between its choice and its use.
        for _ in 0..5 {
            let ports = Ports { s3: free_port(), rpc: free_port() };
            write_config(directory.path(), ports);
            if let Some(process) = run_server(directory.path(), ports) {
                return Self { directory, ports, process };
            }
        }
        panic!("garage does not start: {}", log(directory.path()));
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        address(self.ports.s3)
    }

    /// Base URL of its S3 API.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Runs a command of Garage's own on it, such as `["bucket", "list"]`, and returns what it prints.
    #[allow(dead_code, reason = "not every test binary needs it")]
    pub fn run(&self, arguments: &[&str]) -> String {
        let mut command = garage(self.directory.path());
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "garage {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Ends it as a power cut would. Nothing listens any more.
    #[allow(dead_code, reason = "not every test binary needs it")]
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again, with what it had, at the same address.
    #[allow(dead_code, reason = "not every test binary needs it")]
    pub fn restart(&mut self) {
        self.kill();
        let Some(process) = run_server(self.directory.path(), self.ports) else {
            panic!("garage does not start again: {}", log(self.directory.path()));
        };
        self.process = process;
    }
}

impl Drop for Garage {
    fn drop(&mut self) {
        self.kill();
    }
}

fn write_config(directory: &Path, ports: Ports) {
    let directory_text = directory.display();
    let rpc_secret = "11".repeat(32);
    let config = format!(
        r#"
        metadata_dir = "{directory_text}/meta"
        data_dir = "{directory_text}/data"
        db_engine = "sqlite"
        replication_factor = 1
        rpc_bind_addr = "{rpc}"
        rpc_public_addr = "{rpc}"
        rpc_secret = "{rpc_secret}"
        [s3_api]
        s3_region = "{REGION}"
        api_bind_addr = "{s3}"
        "#,
        rpc = address(ports.rpc),
        s3 = address(ports.s3),
    );
    fs::write(directory.join("garage.toml"), config).unwrap();
}

/// None if it ends before it answers.
fn run_server(directory: &Path, ports: Ports) -> Option<Child> {
    let log = fs::File::create(directory.join("log")).unwrap();
    let mut process = garage(directory)
        .args(["server", "--single-node", "--default-bucket"])
        .env("GARAGE_DEFAULT_BUCKET", BUCKET)
        .env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY)
        .env("GARAGE_DEFAULT_SECRET_KEY", SECRET_KEY)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    // It makes bucket and key before it listens.
    while TcpStream::connect(address(ports.s3)).is_err() {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        if deadline < Instant::now() {
            let _ = process.kill();
            let _ = process.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Some(process)
}

fn garage(directory: &Path) -> Command {
    let mut command = Command::new(find_garage());
    command.arg("-c").arg(directory.join("garage.toml")).env("RUST_LOG", "garage=info").env("NO_COLOR", "1");
    command
}

fn find_garage() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain([PathBuf::from(TOOLS)])
        .map(|directory| directory.join("garage"))
        .find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "garage, the S3 server that this test runs against, is neither in PATH nor in {TOOLS}. \
             ./test.sh installs it; by hand: cargo install garage --version 2.5.0 --locked \
             --no-default-features --features bundled-libs,sqlite"
        )
    })
}

/// A free port below those that the system gives to outgoing connections. One of these may be taken by any connection before the server
/// has it, even by the very one that asks whether the server listens: then that is connected with itself.
fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = u16::try_from(10_000 + random % 22_000).unwrap();
        if TcpListener::bind(address(port)).is_ok() {
            return port;
        }
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}
