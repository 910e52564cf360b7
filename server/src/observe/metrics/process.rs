//! The process, as Linux sees it.

use std::fs;
use std::sync::LazyLock;

use catalog::UnixTime;
use rustix::process::{Resource, getrlimit};

use super::all;
use super::samples::Samples;

/// Length of the ticks in which Linux tells processor time to programs, in seconds.
const TICK: f64 = 0.01;

/// When the metrics were first asked about the process, which the start of the daemon does.
static STARTED: LazyLock<UnixTime> = LazyLock::new(UnixTime::now);

/// Notes when the daemon started.
pub fn note_start() {
    LazyLock::force(&STARTED);
}

pub(super) fn collect(samples: &mut Samples) {
    samples.number(&all::BUILD, &[env!("CARGO_PKG_VERSION")], 1.0);
    samples.number(&all::STARTED, &[], STARTED.0 as f64);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    samples.whole(&all::RESIDENT, &[], field("VmRSS:").unwrap_or(0) << 10);
    samples.whole(&all::THREADS, &[], field("Threads:").unwrap_or(0));
    samples.number(&all::PROCESSOR, &[], processor_seconds().unwrap_or(0.0));
    let open = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    samples.whole(&all::DESCRIPTORS, &[], open);
    let most = getrlimit(Resource::Nofile).current.map_or(f64::NAN, |most| most as f64);
    samples.number(&all::MOST_DESCRIPTORS, &[], most);
}

/// User and system time. The name of the program, which is in parentheses, may hold spaces.
fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) * TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_uses_memory_and_time() {
        let mut samples = Samples::default();
        collect(&mut samples);
        for metric in [&all::RESIDENT, &all::THREADS, &all::DESCRIPTORS] {
            let text = format!("{:?}", samples.of(metric));
            assert!(!text.contains("Number(0.0)"), "{}: {text}", metric.name);
        }
        assert!(processor_seconds().is_some());
    }
}
