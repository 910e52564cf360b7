//! Runs `wrk`, which costs the machine less than any client of ours would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::Result;

/// Asks for the targets of a file one after the other and ends with one line for us.
const SCRIPT: &str = r#"
local requests, position = {}, 0

function init(arguments)
    for target in io.lines(arguments[1]) do
        requests[#requests + 1] = wrk.format("GET", target)
    end
end

function request()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency, _)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    print(string.format("figures %d %d %d %d %d", summary.requests, summary.duration, errors.status, broken,
        latency:percentile(99)))
end
"#;

/// Whether wrk is there, and what to do if not.
pub fn check() -> Result<()> {
    let runs = Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    runs.map(drop).map_err(|_| "wrk is missing; on Debian: apt-get install wrk".into())
}

/// A list of targets and the script that asks for them.
pub struct Targets {
    script: PathBuf,
    file: PathBuf,
    list: Vec<String>,
    /// Whether the answer to each is an error status.
    absent: bool,
}

impl Targets {
    /// Writes the list `name` to `directory`. Each target is there, or each is `absent`.
    pub fn new(directory: &Path, name: &str, list: Vec<String>, absent: bool) -> Result<Self> {
        let script = directory.join("wrk.lua");
        fs::write(&script, SCRIPT)?;
        let file = directory.join(name);
        fs::write(&file, list.join("\n"))?;
        Ok(Self { script, file, list, absent })
    }

    /// What is asked for.
    pub fn list(&self) -> &[String] {
        &self.list
    }
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Requests answered.
    pub requests: u64,
    /// How long that took.
    pub time: Duration,
    /// 99 of 100 requests took no longer.
    pub p99: Duration,
}

/// Asks `address` for `targets` over `connections` connections.
pub fn run(address: SocketAddr, targets: &Targets, connections: usize, time: Duration) -> Result<Figures> {
    // Half of the machine is for the server.
    let threads = std::thread::available_parallelism()?.get().div_ceil(2).min(connections);
    // wrk takes whole seconds only.
    let seconds = time.as_secs_f64().ceil();
    let output = Command::new("wrk")
        .args(["--threads", &threads.to_string(), "--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(&targets.script)
        .arg(format!("http://{address}"))
        .arg("--")
        .arg(&targets.file)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<u64> = text
        .lines()
        .find_map(|line| line.strip_prefix("figures "))
        .map(|line| line.split(' ').map(str::parse).collect::<Result<_, _>>())
        .ok_or_else(|| format!("wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr)))??;
    let &[requests, micros, refused, broken, p99] = figures.as_slice() else {
        return Err("wrk printed something unexpected".into());
    };
    let expected = if targets.absent { requests } else { 0 };
    if requests == 0 || refused != expected || broken != 0 {
        return Err(format!(
            "{requests} requests, {refused} error statuses (expected: {expected}), {broken} broken"
        )
        .into());
    }
    Ok(Figures { requests, time: Duration::from_micros(micros), p99: Duration::from_micros(p99) })
}
