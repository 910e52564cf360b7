#![allow(clippy::unwrap_used)]

use std::io;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::{Context, Operation, StorageError};

const ROOM: Usage = Usage { total: Some(100), free: Some(50) };
const NO_ROOM: Usage = Usage { total: Some(100), free: Some(5) };

fn context() -> Context {
    Context { storage: "main".into(), operation: Operation::Put, key: None }
}

fn dead() -> StorageError {
    StorageError::Unavailable { context: context(), reason: "not mounted".to_owned() }
}

fn full() -> StorageError {
    StorageError::Full { context: context() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Probes when it is due, and returns after how long that was.
fn probe(monitor: &mut HealthMonitor, now: &mut Instant, result: Result<Usage, &StorageError>) -> Duration {
    let waited = monitor.next_probe().duration_since(*now);
    *now += waited;
    monitor.probed(result, *now, 0);
    waited
}

#[test]
fn a_medium_is_full_when_95_percent_of_it_are_used() {
    let of = |total, free| Health::of_medium(Usage { total, free });
    assert_eq!(of(Some(1000), Some(51)), Health::Working);
    assert_eq!(of(Some(1000), Some(50)), Health::MediumFull);
    assert_eq!(of(Some(u64::MAX), Some(u64::MAX)), Health::Working);
    assert_eq!(of(None, Some(0)), Health::Working);
    assert_eq!(of(Some(0), None), Health::Working);
}

#[test]
fn a_storage_is_probed_as_soon_as_it_is_known() {
    let now = Instant::now();
    let monitor = HealthMonitor::new(now);
    assert_eq!((monitor.health(), monitor.next_probe()), (Health::Working, now));
}

#[test]
fn errors_of_the_storage_put_it_out_of_use_and_those_of_one_object_do_not() {
    let now = Instant::now();
    let after = |error: StorageError| HealthMonitor::new(now).failed(&error, now, 0);
    let cause = || io::Error::other("broken");
    assert_eq!(after(dead()), Some(Health::Failing));
    assert_eq!(after(StorageError::Io { context: context(), cause: cause() }), Some(Health::Failing));
    assert_eq!(after(StorageError::Denied { context: context(), cause: cause() }), Some(Health::Failing));
    assert_eq!(after(full()), Some(Health::MediumFull));
    assert_eq!(after(StorageError::NotFound { context: context() }), None);
    assert_eq!(after(StorageError::SizeMismatch { context: context(), expected: 2, actual: 1 }), None);
    assert_eq!(after(StorageError::InvalidRange { context: context(), range: 0..2, size: 1 }), None);
}

#[test]
fn a_probe_that_finds_nothing_means_a_failing_storage() {
    let now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    let error = StorageError::NotFound { context: context() };
    assert_eq!(monitor.probed(Err(&error), now, 0), Some(Health::Failing));
}

#[test]
fn probes_of_a_failing_storage_back_off_from_1_second_to_15() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    monitor.failed(&dead(), now, 0);
    let waits: Vec<_> = (0..10).map(|_| probe(&mut monitor, &mut now, Err(&dead())).as_secs()).collect();
    assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15, 15, 15, 15]);
}

#[test]
fn a_storage_that_fails_for_years_is_still_probed_every_15_seconds() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    for _ in 0..1_000 {
        probe(&mut monitor, &mut now, Err(&dead()));
    }
    assert_eq!(probe(&mut monitor, &mut now, Err(&dead())), seconds(15));
}

#[test]
fn one_good_probe_brings_a_storage_back() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    monitor.failed(&dead(), now, 0);
    now += seconds(1);
    assert_eq!(monitor.probed(Ok(ROOM), now, 0), Some(Health::Working));
    assert_eq!((monitor.health(), monitor.since()), (Health::Working, now));
    assert_eq!(monitor.last_error(), Some("storage main: put: the storage is unavailable: not mounted"));
}

#[test]
fn uploads_that_fail_together_count_as_one_trouble() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    assert_eq!(monitor.failed(&dead(), now, 0), Some(Health::Failing));
    for _ in 0..8 {
        assert_eq!(monitor.failed(&dead(), now, 0), None);
    }
    assert_eq!(probe(&mut monitor, &mut now, Err(&dead())), seconds(1));
    assert_eq!(probe(&mut monitor, &mut now, Err(&dead())), seconds(2));
}

#[test]
fn a_recovery_that_does_not_last_does_not_shorten_the_back_off() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    let mut waits = Vec::new();
    for _ in 0..4 {
        // The probe succeeds, the next upload fails.
        monitor.failed(&dead(), now, 0);
        waits.push(probe(&mut monitor, &mut now, Ok(ROOM)).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8]);
}

#[test]
fn half_a_minute_of_work_does_not_shorten_the_back_off() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    monitor.failed(&dead(), now, 0);
    probe(&mut monitor, &mut now, Ok(ROOM));
    assert_eq!(probe(&mut monitor, &mut now, Ok(ROOM)), seconds(30));
    monitor.failed(&dead(), now, 0);
    assert_eq!(probe(&mut monitor, &mut now, Ok(ROOM)), seconds(2));
}

#[test]
fn the_first_good_probe_after_a_long_failure_does_not_shorten_the_back_off() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    monitor.failed(&dead(), now, 0);
    for _ in 0..10 {
        probe(&mut monitor, &mut now, Err(&dead()));
    }
    probe(&mut monitor, &mut now, Ok(ROOM));
    monitor.failed(&dead(), now, 0);
    assert_eq!(probe(&mut monitor, &mut now, Ok(ROOM)), seconds(15));
}

#[test]
fn a_storage_that_worked_for_a_minute_is_trusted_again() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    monitor.failed(&dead(), now, 0);
    for _ in 0..5 {
        probe(&mut monitor, &mut now, Err(&dead()));
    }
    // The first brings it back, the others come every 30 seconds.
    for _ in 0..3 {
        probe(&mut monitor, &mut now, Ok(ROOM));
    }
    monitor.failed(&dead(), now, 0);
    assert_eq!(probe(&mut monitor, &mut now, Err(&dead())), seconds(1));
}

#[test]
fn a_full_medium_takes_nothing_until_a_probe_finds_room() {
    let mut now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    assert_eq!(monitor.probed(Ok(NO_ROOM), now, 0), Some(Health::MediumFull));
    assert_eq!(monitor.failed(&full(), now, 0), None);
    assert_eq!(probe(&mut monitor, &mut now, Ok(NO_ROOM)), seconds(1));
    assert_eq!(probe(&mut monitor, &mut now, Ok(ROOM)), seconds(2));
    assert_eq!(monitor.health(), Health::Working);
}

#[test]
fn a_full_medium_can_fail_on_top_and_a_failing_one_is_not_merely_full() {
    let now = Instant::now();
    let mut monitor = HealthMonitor::new(now);
    monitor.failed(&full(), now, 0);
    assert_eq!(monitor.failed(&dead(), now, 0), Some(Health::Failing));
    assert_eq!(monitor.failed(&full(), now, 0), None);
    assert_eq!(monitor.health(), Health::Failing);
}

proptest! {
    #[test]
    fn jitter_makes_a_delay_up_to_a_quarter_shorter_and_never_longer(
        jitter: u8,
        setbacks in 0_u32..20,
    ) {
        let now = Instant::now();
        let mut exact = HealthMonitor::new(now);
        let mut jittered = HealthMonitor::new(now);
        for _ in 0..=setbacks {
            exact.probed(Err(&dead()), now, 0);
            jittered.probed(Err(&dead()), now, jitter);
        }
        let (exact, jittered) = (exact.next_probe() - now, jittered.next_probe() - now);
        prop_assert!(jittered <= exact && jittered > exact * 3 / 4);
    }

    #[test]
    fn whatever_happens_the_next_probe_is_soon(
        steps in prop::collection::vec((0_u8..5, any::<u8>(), 0_u64..100), 0..100),
    ) {
        let mut now = Instant::now();
        let mut monitor = HealthMonitor::new(now);
        for (step, jitter, later) in steps {
            now += seconds(later);
            let before = monitor.health();
            let change = match step {
                0 => monitor.failed(&dead(), now, jitter),
                1 => monitor.failed(&full(), now, jitter),
                2 => monitor.probed(Err(&dead()), now, jitter),
                3 => monitor.probed(Ok(NO_ROOM), now, jitter),
                _ => monitor.probed(Ok(ROOM), now, jitter),
            };
            prop_assert_eq!(change.is_some(), before != monitor.health());
            prop_assert_eq!(change.unwrap_or(before), monitor.health());
            let longest = if monitor.health() == Health::Working { 30 } else { 15 };
            prop_assert!(monitor.next_probe() <= now + seconds(longest));
        }
    }
}
