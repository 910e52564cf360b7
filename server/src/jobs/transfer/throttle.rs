//! Keeps transfers below a rate, all of them together.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The largest burst: what a transfer may be ahead of its time.
const BURST: Duration = Duration::from_millis(100);

/// A rate in bytes per second that several transfers share.
pub(in crate::jobs) struct Throttle {
    rate: Option<u64>,
    /// When what has passed so far should have passed.
    due: Mutex<Instant>,
}

impl Throttle {
    /// Lets `rate` bytes per second pass, or all.
    pub(in crate::jobs) fn new(rate: Option<u64>) -> Self {
        Self { rate, due: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may pass.
    pub(in crate::jobs) async fn pass(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let due = {
            let mut due = self.due.lock();
            // Time in which nothing passed is not saved up.
            *due = (*due).max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / rate as f64);
            *due
        };
        sleep_until(due - BURST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn transfers_share_the_rate() {
        let throttle = Throttle::new(Some(1000));
        let begun = Instant::now();
        tokio::join!(
            async {
                for _ in 0..10 {
                    throttle.pass(100).await
                }
            },
            async {
                for _ in 0..10 {
                    throttle.pass(100).await
                }
            },
        );
        let took = begun.elapsed();
        assert!((Duration::from_millis(1800)..=Duration::from_millis(2100)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let throttle = Throttle::new(None);
        let begun = Instant::now();
        throttle.pass(usize::MAX).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
