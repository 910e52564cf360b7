//! How the daemon is doing, and what signs.

use admin_api::{Finding, FindingLevel, Reloaded};

use super::super::key::CacheKey;
use super::*;

#[test]
fn a_list_of_workers_reads_well_at_80_columns() {
    let work = worker::Work { workers: samples::daemon::workers(), jobs: samples::jobs()[..2].to_vec() };
    let text = worker::render(&work, false, &TERMINAL);
    assert_fits(&text);
    assert!(!text.contains("publisher") && text.contains("1 idle worker not shown"), "{text}");
    assert_golden("workers.80.txt", &text);
    let text = worker::render(&work, true, &TERMINAL);
    assert!(text.contains("publisher") && !text.contains("not shown"), "{text}");
}

#[test]
fn a_list_of_workers_in_a_pipe_has_one_line_each() {
    let work = worker::Work { workers: samples::daemon::workers(), jobs: vec![] };
    assert_golden("workers.pipe.txt", &worker::render(&work, false, &PIPE));
}

#[test]
fn an_address_that_nothing_listens_on_is_named_with_the_reason() {
    let mut status = samples::status();
    let all_is_well = status::render(&status, &TERMINAL);
    assert!(!all_is_well.contains("ERROR"), "{all_is_well}");
    status.listeners[2].error = Some("Address already in use (os error 98)".into());
    let text = status::render(&status, &TERMINAL);
    assert_fits(&text);
    assert!(text.contains("ERROR") && text.contains("already in use"), "{text}");
}

#[test]
fn what_the_doctor_finds_reads_well_at_80_columns() {
    let text = doctor::render(&samples::daemon::findings(), &TERMINAL);
    assert_fits(&text);
    assert_golden("doctor.80.txt", &text);
}

#[test]
fn advice_for_several_checks_is_given_once() {
    let finding = |subject: &str| Finding {
        level: FindingLevel::Error,
        subject: subject.to_owned(),
        message: "it has no address".to_owned(),
        advice: Some("add it to the DNS".to_owned()),
    };
    let text = doctor::render(&[finding("name a"), finding("name b"), finding("name b")], &TERMINAL);
    assert!(text.ends_with("\n\nname a, name b: Add it to the DNS.\n"), "{text}");
}

#[test]
fn the_changes_of_a_reload_are_listed() {
    assert_golden("reloaded.80.txt", &reload::render(&samples::daemon::reloaded(), &TERMINAL));
    let nothing = Reloaded { changes: vec![], needs_restart: vec![], warnings: vec![] };
    assert_eq!(reload::render(&nothing, &TERMINAL), "Nothing changed.\n");
}

#[test]
fn a_list_of_keys_reads_well_at_80_columns() {
    let keys: Vec<_> = samples::cache()
        .keys
        .into_iter()
        .zip(["main", "staging"])
        .map(|(key, cache)| CacheKey { cache: cache.into(), key })
        .collect();
    let text = key::render(&keys, &TERMINAL);
    assert_fits(&text);
    assert_golden("keys.80.txt", &text);
}
