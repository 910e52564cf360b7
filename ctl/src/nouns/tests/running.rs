//! How the daemon is doing, and what signs.

use admin_api::Reloaded;

use super::super::key::CacheKey;
use super::*;

#[test]
fn a_list_of_workers_reads_well_at_80_columns() {
    let work = worker::Work { workers: samples::daemon::workers(), jobs: samples::jobs()[..2].to_vec() };
    let text = worker::render(&work, &TERMINAL);
    assert_fits(&text);
    assert_golden("workers.80.txt", &text);
}

#[test]
fn a_list_of_workers_in_a_pipe_has_one_line_each() {
    let work = worker::Work { workers: samples::daemon::workers(), jobs: vec![] };
    assert_golden("workers.pipe.txt", &worker::render(&work, &PIPE));
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
