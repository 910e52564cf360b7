//! What `/proc` says about a process.

use std::fs;
use std::time::Duration;

use super::Result;

/// Length of the kernel's unit of CPU time as `/proc` shows it. `USER_HZ` is part of the ABI: 100 wherever Rust's
/// standard library runs.
const TICK: Duration = Duration::from_millis(10);

/// User and system time that the processes have used so far, ended threads included.
pub fn cpu_time(processes: &[u32]) -> Result<Duration> {
    let mut ticks = 0;
    for pid in processes {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is a name in parentheses that may hold anything; `utime` and `stime` are fields 14 and 15.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        for field in fields.split(' ').skip(11).take(2) {
            ticks += field.parse::<u32>()?;
        }
    }
    Ok(TICK * ticks)
}

/// A process and its children.
pub fn with_children(pid: u32) -> Result<Vec<u32>> {
    let mut family = vec![pid];
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(candidate) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while it is looked at.
        let Ok(stat) = fs::read_to_string(format!("/proc/{candidate}/stat")) else { continue };
        let parent = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(1)?.parse().ok());
        if parent == Some(pid) {
            family.push(candidate);
        }
    }
    Ok(family)
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident memory that is no file's: what the process has allocated.
    pub anonymous: u64,
    /// The most that was ever resident, mapped files included.
    pub high_water_mark: u64,
}

/// The memory of a process right now.
pub fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let bytes = |key: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_suffix("kB"));
        let kibibytes: u64 =
            line.ok_or_else(|| format!("/proc/{pid}/status has no {key}"))?.trim().parse()?;
        Ok(kibibytes * 1024)
    };
    Ok(Memory { anonymous: bytes("RssAnon:")?, high_water_mark: bytes("VmHWM:")? })
}
