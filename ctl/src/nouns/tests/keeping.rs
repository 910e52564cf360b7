//! Paths, what keeps them, and what became of the others.

use admin_api::{DeletedPaths, PathWhy};

use super::super::path::CacheWhy;
use super::*;

#[test]
fn a_list_of_pins_reads_well_at_80_columns() {
    let pins = samples::paths::pins();
    assert_golden("pins.80.txt", &pin::table(&pins, &TERMINAL));
    let text = pin::table(&pins[..4], &TERMINAL);
    assert_fits(&text);
    assert!(!text.contains("CACHE"), "{text}");
}

#[test]
fn a_list_of_paths_reads_well_at_80_columns() {
    let text = path::table(&samples::paths::rows(), &TERMINAL);
    assert_fits(&text);
    assert_golden("paths.80.txt", &text);
}

#[test]
fn paths_without_damage_need_no_column_for_it() {
    let text = path::table(&samples::paths::rows()[..1], &TERMINAL);
    assert!(!text.contains("STATE"), "{text}");
}

#[test]
fn why_a_path_is_kept_reads_well_at_80_columns() {
    let why = |why: PathWhy| path::render_why(&CacheWhy { cache: "main".into(), why }, &TERMINAL);
    let text = samples::paths::whys().map(why).join("\n");
    assert_fits(&text);
    assert_golden("whys.80.txt", &text);
}

#[test]
fn deleted_paths_are_named() {
    let paths = samples::paths::rows().into_iter().map(|path| path.store_path).collect();
    let deleted =
        DeletedPaths { paths, bytes_freed: 12 << 30, bytes_trashed: 0, restorable_until: None, postponed: 0 };
    assert_golden("deleted.txt", &path::render_deleted("main", &deleted, &TERMINAL));
    let trashed = DeletedPaths {
        bytes_freed: 0,
        bytes_trashed: 12 << 30,
        restorable_until: Some(TERMINAL.now + 86_400),
        ..deleted.clone()
    };
    assert_golden("deleted.trashed.txt", &path::render_deleted("main", &trashed, &TERMINAL));
    let postponed = DeletedPaths { postponed: 2, ..deleted };
    assert_golden("deleted.postponed.txt", &path::render_deleted("main", &postponed, &TERMINAL));
}

#[test]
fn the_results_of_removals_and_copies_read_well_at_80_columns() {
    let summaries = samples::paths::summaries();
    let texts: Vec<_> = summaries.iter().map(|summary| follow::render(summary, &TERMINAL)).collect();
    let text = texts.join("\n");
    assert_fits(&text);
    assert_golden("removed.80.txt", &text);
}
