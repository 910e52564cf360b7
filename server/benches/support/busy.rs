//! Whether the machine has something else to do, so that figures cannot be believed.

use std::fs;
use std::time::Duration;

use super::Result;

/// How long the machine is watched while nothing is measured.
const LOOK: Duration = Duration::from_millis(200);
/// From this share of busy processors on, rates and latencies say little.
const TOO_BUSY: f64 = 0.15;

/// Looks at the machine now and then.
#[derive(Default)]
pub struct Busy {
    looks: usize,
    busy: usize,
    most: f64,
}

impl Busy {
    /// Looks whether anything runs although nothing is measured.
    pub fn look(&mut self) -> Result<()> {
        let (before, before_idle) = times()?;
        std::thread::sleep(LOOK);
        let (after, after_idle) = times()?;
        let share = 1.0 - (after_idle - before_idle) as f64 / (after - before).max(1) as f64;
        self.looks += 1;
        self.busy += usize::from(share > TOO_BUSY);
        self.most = self.most.max(share);
        Ok(())
    }

    /// Says what was seen.
    pub fn report(&self) {
        if self.busy > 0 {
            println!(
                "\nTHE MACHINE WAS BUSY with something else in {} of {} looks, by up to {:.0} %: believe no rate and no p99; \
                 CPU times are too large, their ratios roughly right",
                self.busy,
                self.looks,
                self.most * 100.0
            );
        }
    }
}

/// The time of all processors since the start of the machine, and the idle part of it, in ticks.
fn times() -> Result<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or("/proc/stat is odd")?;
    let fields: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    // Guest time is part of user time.
    let all = fields.iter().take(8).sum();
    Ok((all, fields.iter().skip(3).take(2).sum()))
}
