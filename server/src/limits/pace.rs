//! How fast the other end of a long transfer has to be.
//!
//! Only the time counts that is spent waiting for it: what the daemon itself, or a third party, takes longer for is not its fault.
//! A transfer takes no longer than its size allows, so whatever it holds is given back at some time.

use std::time::Duration;

/// The lowest rate in bytes per second: a twentieth of what a modem had.
const LOWEST_RATE: u64 = 512;
/// The time that may be spent in addition to what the size allows.
const GRACE: Duration = Duration::from_secs(90);

/// What the other end of a transfer has done so far.
#[derive(Debug, Default)]
pub struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Takes note that so many bytes went over after the daemon had waited for the other end so long. Returns whether it is fast
    /// enough.
    pub fn is_kept(&mut self, bytes: usize, waited: Duration) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        self.waited <= GRACE + Duration::from_secs(self.bytes / LOWEST_RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_slow_line_is_fast_enough() {
        let mut pace = Pace::default();
        assert!((0..10_000).all(|_| pace.is_kept(600, SECOND)));
    }

    #[test]
    fn one_byte_now_and_then_is_not() {
        let mut pace = Pace::default();
        let begun = (0..100).take_while(|_| pace.is_kept(1, 20 * SECOND)).count();
        assert_eq!(begun, 4);
        // Not even after a good beginning.
        let mut pace = Pace::default();
        assert!(pace.is_kept(1 << 20, SECOND));
        assert!(!(0..1_000).all(|_| pace.is_kept(1, 20 * SECOND)));
    }

    #[test]
    fn what_needs_no_waiting_is_fast_enough() {
        let mut pace = Pace::default();
        assert!((0..100_000).all(|_| pace.is_kept(1, Duration::ZERO)));
    }
}
