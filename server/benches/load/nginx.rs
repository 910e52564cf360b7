//! nginx as a static web server over the daemon's storage: what there is to compare with.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::support::client::Connection;
use crate::support::{Result, ports, process};

/// How long nginx may take to answer.
const START: Duration = Duration::from_secs(10);

/// Where Debian puts it, which is not on everybody's `PATH`.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// A running nginx, ended when dropped.
pub struct Nginx {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its processes: the master and the workers.
    pub processes: Vec<u32>,
}

/// Whether nginx is there, and what to do if not.
pub fn check() -> Result<()> {
    find().map(drop)
}

fn find() -> Result<&'static str> {
    let runs = |program: &&str| Command::new(program).arg("-v").stderr(Stdio::null()).status().is_ok();
    PROGRAMS
        .into_iter()
        .find(runs)
        .ok_or_else(|| "nginx is missing; on Debian: apt-get install nginx-light".into())
}

impl Nginx {
    /// Serves the files in `root`; its own go to `directory`.
    pub fn start(directory: &Path, root: &Path) -> Result<Self> {
        let [address] = ports::free()?;
        let file = directory.join("nginx.conf");
        fs::write(&file, config(address, directory, root))?;
        let child = Command::new(find()?)
            .arg("-c")
            .arg(file)
            .arg("-e")
            .arg(directory.join("nginx.log"))
            .stdin(Stdio::null())
            .spawn()?;
        let mut nginx = Self { child, address, processes: Vec::new() };
        let deadline = Instant::now() + START;
        while Connection::open(address).and_then(|mut connection| connection.get("/nix-cache-info")).is_err()
        {
            if nginx.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(directory.join("nginx.log")).unwrap_or_default();
                return Err(format!("nginx does not start:\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        nginx.processes = process::with_children(nginx.child.id())?;
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master would leave its workers behind if it were killed.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// What a careful administrator would write.
fn config(address: SocketAddr, directory: &Path, root: &Path) -> String {
    let (directory, root) = (directory.display(), root.display());
    // The temporary directory is open to its owner only, and nginx as root would run its workers as somebody else.
    let user = if geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user}
daemon off;
worker_processes auto;
pid {directory}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=10000 inactive=60s;
    keepalive_requests 1000000;
    default_type application/octet-stream;
    types {{ text/x-nix-narinfo narinfo; application/x-nix-nar nar; }}
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    server {{ listen {address}; root {root}; }}
}}
"
    )
}
