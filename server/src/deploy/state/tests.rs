#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use catalog::{AgentId, DeploymentId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn pending() -> DeploymentRecord {
    DeploymentRecord {
        id: DeploymentId(Uuid::from_u128(1)),
        agent: AgentId(Uuid::from_u128(2)),
        number: 7,
        store_path: "/nix/store/x".to_owned(),
        rollback_scripts: BTreeMap::new(),
        status: DeploymentStatus::Pending,
        closure_size: None,
        created_at: UnixTime(100),
        delivered_at: None,
        started_at: None,
        finished_at: None,
        begun_at: None,
        log_lines: 0,
        log_truncated: false,
    }
}

fn started(at: i64, closure_size: Option<u64>) -> Event {
    Event::Started { at: UnixTime(at), heard_at: UnixTime(at + 1000), closure_size }
}

fn finished(at: i64, succeeded: bool) -> Event {
    Event::Finished { at: UnixTime(at), succeeded }
}

fn after(events: &[Event]) -> DeploymentRecord {
    events.iter().fold(pending(), |deployment, event| apply(&deployment, event).unwrap_or(deployment))
}

#[test]
fn the_usual_way_leads_to_success_or_failure() {
    let begun = after(&[Event::Delivered { at: UnixTime(101) }, started(102, None)]);
    assert_eq!(begun.status, DeploymentStatus::InProgress);
    assert_eq!((begun.delivered_at, begun.started_at), (Some(UnixTime(101)), Some(UnixTime(102))));
    for (succeeded, status) in [(true, DeploymentStatus::Succeeded), (false, DeploymentStatus::Failed)] {
        let done = apply(&begun, &finished(105, succeeded)).unwrap();
        assert_eq!((done.status, done.finished_at), (status, Some(UnixTime(105))));
    }
}

#[test]
fn a_second_start_tells_the_size_and_leaves_the_time() {
    let twice = after(&[started(102, None), started(110, Some(5))]);
    assert_eq!((twice.started_at, twice.begun_at), (Some(UnixTime(102)), Some(UnixTime(1102))));
    assert_eq!(twice.closure_size, Some(5));
    // A duplicate of the first one takes nothing away.
    assert_eq!(apply(&twice, &started(102, None)), None);
}

#[test]
fn an_end_without_a_beginning_counts() {
    let done = after(&[finished(105, true)]);
    assert_eq!(done.status, DeploymentStatus::Succeeded);
    assert_eq!(done.started_at, Some(UnixTime(105)));
}

#[test]
fn what_began_is_not_delivered_again() {
    assert_eq!(apply(&after(&[started(1, None)]), &Event::Delivered { at: UnixTime(9) }), None);
}

#[test]
fn time_running_out_cancels_what_never_began_and_fails_what_did() {
    let late = Event::TimedOut { at: UnixTime(999) };
    assert_eq!(after(std::slice::from_ref(&late)).status, DeploymentStatus::Cancelled);
    assert_eq!(after(&[started(1, None), late]).status, DeploymentStatus::Failed);
}

fn event() -> impl Strategy<Value = Event> {
    let time = (0..1000_i64).prop_map(UnixTime);
    prop_oneof![
        time.clone().prop_map(|at| Event::Delivered { at }),
        (time.clone(), time.clone(), any::<Option<u64>>())
            .prop_map(|(at, heard_at, closure_size)| Event::Started { at, heard_at, closure_size }),
        (time.clone(), any::<bool>()).prop_map(|(at, succeeded)| Event::Finished { at, succeeded }),
        time.clone().prop_map(|at| Event::Cancelled { at }),
        time.prop_map(|at| Event::TimedOut { at }),
    ]
}

proptest! {
    #[test]
    fn nothing_leaves_a_final_state_and_nothing_goes_back(events in prop::collection::vec(event(), 0..20)) {
        let rank = |status: DeploymentStatus| match status {
            DeploymentStatus::Pending => 0,
            DeploymentStatus::InProgress => 1,
            _ => 2,
        };
        let mut now = pending();
        for event in &events {
            let Some(next) = apply(&now, event) else { continue };
            prop_assert!(!now.status.is_final());
            prop_assert!(rank(next.status) >= rank(now.status));
            prop_assert_eq!(next.status.is_final(), next.finished_at.is_some());
            prop_assert!(now.started_at.is_none() || next.started_at == now.started_at);
            prop_assert_eq!(next.status == DeploymentStatus::Pending, next.started_at.is_none() && !next.status.is_final());
            now = next;
        }
    }

    #[test]
    fn an_event_that_comes_twice_in_a_row_changes_nothing_the_second_time(
        events in prop::collection::vec(event(), 0..10),
        twice in event(),
    ) {
        let once = { let before = after(&events); apply(&before, &twice).unwrap_or(before) };
        prop_assert_eq!(apply(&once, &twice), None);
    }
}
