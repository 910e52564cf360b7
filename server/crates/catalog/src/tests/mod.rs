//! The promises of the catalog, each checked on every backend.
//!
//! A promise is an `async fn(Backend)` in the file of its subject. The lists below make it a test of each backend; one
//! that is in no list is reported as dead code.

#![allow(clippy::unwrap_used)]

use futures_util::StreamExt;

#[path = "../../tests/support/postgres.rs"]
pub(crate) mod postgres;
pub(crate) mod support;

mod adoption;
mod backup;
mod browse;
mod by_products;
mod caches;
mod clock;
mod closures;
mod commits;
mod concurrency;
mod copies;
mod damage;
mod deletion;
mod deploy;
mod durability;
mod feed;
mod gc;
mod gc_model;
mod generations;
mod identity;
mod inspect;
mod jobs;
mod keys;
mod model;
mod moves;
mod outage;
mod paths;
mod pins;
mod proxy;
mod removal;
mod rivals;
mod sessions;
mod storages;
mod tiers;
mod tokens;
mod trash;
mod unpublished;
mod uploads;
mod usage;

/// Makes tests of promises: `tests!(backend, subject: [promise, …] …)`.
macro_rules! tests {
    ($backend:ident, $($subject:ident: [$($promise:ident),* $(,)?])*) => {
        $(mod $subject {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                use crate::tests::$subject;
                use crate::tests::support::Backend;
                $subject::$promise(Backend::$backend()).await;
            })*
        })*
    };
}

/// What every backend promises.
macro_rules! promises {
    ($backend:ident) => {
        tests! { $backend,
            caches: [
                declared_caches_get_ids_that_stay,
                a_cache_that_is_no_longer_declared_is_disabled_and_kept,
                a_change_in_the_declaration_is_taken_over,
                nothing_declared_disables_everything,
                turns_are_kept_whatever_is_declared,
            ]
            clock: [
                the_time_last_seen_goes_back_only_when_it_is_set,
            ]
            closures: [
                a_path_is_complete_once_everything_below_it_is_there,
                damage_breaks_closures_and_a_push_mends_them,
                what_is_elsewhere_completes_a_closure_until_it_is_gone,
                a_storage_that_vanishes_breaks_closures_until_it_is_back,
                what_is_deleted_and_restored_is_counted,
                what_the_closures_of_another_cache_need_stays,
                closures_are_what_a_walk_over_them_finds,
            ]
            storages: [
                storages_belong_to_their_cache,
                a_storage_that_is_no_longer_declared_is_disabled_and_kept,
                a_marker_stays_with_its_storage,
                what_a_vanished_storage_holds_is_hidden_until_it_is_back,
                any_number_of_paths_of_a_vanished_storage_is_left_out,
                a_push_puts_elsewhere_what_a_vanished_storage_holds,
                nothing_is_recorded_on_a_vanished_storage,
            ]
            keys: [
                a_server_key_is_added_once,
                two_keys_never_share_a_name,
                a_client_key_takes_over_an_empty_cache,
                a_client_key_is_refused_once_there_are_paths,
                only_one_client_key_is_accepted,
                a_retired_server_key_stays_retired,
                registering_and_committing_at_once_never_both_succeed,
                a_shared_key_is_the_first_that_was_offered,
                a_shared_key_can_be_sealed_anew,
                a_name_that_was_used_otherwise_is_not_shared,
                a_key_is_added_and_retired_once,
            ]
            commits: [
                a_committed_path_is_found_whole,
                an_existing_path_is_left_unchanged,
                a_path_without_references_and_signatures_is_found_whole,
                thousands_of_references_keep_their_order,
                the_same_file_is_recorded_once,
                the_same_path_in_two_caches_is_two_paths,
                a_damaged_file_hides_all_its_paths,
                a_push_heals_a_hidden_path,
                a_push_of_another_path_heals_the_shared_file,
                a_hidden_path_is_healed_by_another_file,
                a_late_report_of_damage_does_not_hide_what_was_healed,
                a_contradicting_nar_is_refused,
                a_signature_with_a_line_break_is_refused,
                a_size_that_does_not_fit_is_refused,
                a_push_puts_elsewhere_what_an_unavailable_storage_holds,
                a_new_path_takes_its_file_along_from_an_unavailable_storage,
                turns_are_saved_with_the_path_that_took_one,
            ]
            moves: [
                files_of_a_storage_are_listed_in_pages,
                a_moved_file_takes_its_paths_along,
                a_file_without_paths_can_be_moved,
                a_file_that_is_not_there_any_more_is_not_moved,
                a_file_is_moved_only_to_where_its_cache_can_use_it,
                a_file_that_is_moved_off_a_vanished_storage_is_visible_again,
                many_things_are_found_where_they_lie,
            ]
            copies: [
                a_copy_is_wanted_until_it_is_durable,
                a_claim_of_a_daemon_that_died_expires,
                damage_is_repaired_from_another_copy,
                a_vanished_storage_hides_nothing_that_has_a_copy,
                a_survey_finds_what_is_missing_and_what_is_too_much,
                copies_go_with_their_file,
                a_file_that_is_being_removed_is_not_stored_over,
                a_copy_that_a_storage_turns_out_to_have_is_adopted,
            ]
            tiers: [
                files_are_found_by_their_last_use_wherever_they_lie,
                a_copy_for_readers_is_missed_by_nobody,
                a_fast_copy_is_given_up_only_if_slower_storages_have_the_file,
            ]
            paths: [
                an_unknown_path_is_not_found,
                visible_hashes_come_in_batches_and_leave_out_the_hidden,
                paths_are_listed_in_pages,
                signatures_are_added_once,
                a_use_moves_the_time_forward_only,
            ]
            unpublished: [
                a_committed_path_waits_until_it_is_published,
                a_healed_path_waits_again_even_if_its_old_self_is_published,
                a_hidden_path_does_not_wait,
                a_new_signature_makes_a_path_wait_again,
                visible_paths_can_be_made_to_wait_again,
            ]
            uploads: [
                a_finished_upload_is_known_for_every_outcome,
                a_failed_commit_finishes_no_upload,
                old_uploads_are_forgotten,
                an_upload_of_what_is_there_counts_as_a_use,
                an_open_upload_is_known_until_it_is_finished_or_forgotten,
                a_waiting_file_is_found_until_its_upload_ends,
                open_uploads_go_with_their_daemon,
                old_open_uploads_are_forgotten,
            ]
            jobs: [
                a_job_goes_on_where_it_was,
            ]
            pins: [
                each_pin_of_a_name_is_a_new_revision,
                old_revisions_are_trimmed,
                an_unknown_or_hidden_path_cannot_be_pinned,
                a_pin_outlives_the_healing_of_its_path,
                pins_are_removed_by_revision_or_all_at_once,
            ]
            sessions: [
                a_session_begins_once,
                a_session_is_revoked_and_forgotten,
            ]
            tokens: [
                issued_tokens_are_listed_as_they_were,
                a_token_is_revoked_once,
                an_id_is_issued_once,
                a_token_is_not_for_a_later_cache_of_the_same_name,
            ]
            deploy: [
                an_agent_keeps_its_id_whatever_the_configuration_says,
                a_vanished_workspace_takes_its_agents_along,
                what_an_agent_says_of_itself_is_kept,
                deployments_are_numbered_per_agent,
                a_pending_deployment_gives_way_to_a_newer_one,
                a_set_of_deployments_is_added_whole_or_not_at_all,
                a_deployment_becomes_what_the_change_makes_of_it,
                the_oldest_open_deployment_comes_first,
                a_log_is_read_in_pages_in_the_order_it_was_written,
                a_full_log_says_so_once_and_takes_the_last_line,
                old_logs_are_forgotten,
                what_an_agent_runs_or_ran_before_is_not_collected,
            ]
            usage: [
                an_empty_cache_holds_nothing,
                shared_files_count_once,
                hidden_paths_count_apart,
            ]
            identity: [
                a_catalog_is_the_same_for_ever,
                server_keys_are_known_in_the_order_of_their_use,
            ]
            by_products: [by_products_are_added_up_for_each_storage]
            generations: [
                generations_count_up_for_each_storage,
                a_storage_is_to_be_rebuilt_until_that_is_finished,
                removed_paths_are_known_by_their_tombstones,
            ]
            browse: [
                names_are_searched_page_by_page,
                names_come_in_the_order_of_their_bytes,
                sizes_are_kept_one_a_day_and_forgotten_when_they_are_old,
                the_newest_and_the_largest_paths_come_first,
                references_are_followed_both_ways,
                sessions_end_and_are_bounded,
            ]
            inspect: [
                lines_come_in_pages,
                a_line_says_where_a_path_lies_and_how_large_it_is,
                totals_count_the_paths_used_in_a_span_of_time,
            ]
            concurrency: [
                distinct_paths_committed_at_once_are_all_created,
                one_path_committed_at_once_is_created_once,
                concurrent_writes_share_commits,
                a_failing_write_leaves_the_others_of_its_group_unharmed,
                writes_take_effect_in_the_order_of_submission,
                a_write_whose_caller_went_away_is_done,
                closing_finishes_what_was_submitted,
            ]
            gc: [
                a_path_lives_as_long_as_one_that_refers_to_it,
                what_is_buried_is_gone_but_for_its_files,
                what_happens_after_the_census_counts,
                a_buried_path_is_pushed_anew,
                a_file_that_was_given_up_is_stored_anew,
                a_file_goes_with_the_last_path_that_needs_it,
                pins_hold_as_long_as_they_say,
                circles_live_and_die_at_once,
                chains_hold_whatever_their_hashes_and_wherever_their_rows,
                what_lies_on_a_storage_out_of_use_is_left_alone,
                the_least_recently_used_go_until_the_rest_fits,
                a_path_that_was_healed_since_the_census_is_another_one,
            ]
            deletion: [
                a_path_is_deleted_whatever_its_age,
                what_others_refer_to_is_deleted_with_them_or_not_at_all,
                what_a_pin_holds_is_not_deleted,
                only_so_many_paths_are_deleted_at_once,
                what_lies_on_a_storage_out_of_use_is_not_deleted,
            ]
            trash: [
                realisations_go_with_the_last_of_their_paths,
                a_restored_path_is_as_it_was_but_for_its_last_use,
                what_is_emptied_goes_in_the_order_of_its_removal,
                a_trashed_path_is_replaced_by_what_comes_later,
            ]
            removal: [
                a_cache_that_is_not_in_use_is_forgotten_with_all_it_had,
            ]
            gc_model: [
                no_history_loses_what_lives_or_keeps_what_is_dead,
            ]
            model: [
                every_history_follows_the_model,
            ]
        }
    };
}

/// What a backend promises that outlives its handle.
macro_rules! durable_promises {
    ($backend:ident) => {
        tests! { $backend,
            durability: [
                acknowledged_commits_survive_without_close,
                everything_survives_closing_and_opening,
                opening_again_changes_nothing,
                a_database_of_a_newer_version_is_refused,
            ]
            backup: [
                a_backup_holds_all_that_was_committed,
                a_backup_never_replaces_a_file,
                a_backup_is_restored_to_any_kind_of_empty_database,
                every_table_is_copied,
            ]
            adoption: [
                an_early_database_is_adopted_as_it_is,
                an_early_database_that_lacks_migrations_is_refused,
            ]
            damage: [
                a_damaged_value_is_an_error_that_names_table_and_column,
            ]
        }
    };
}

/// What several catalogs on one database promise each other.
macro_rules! promises_to_rivals {
    ($backend:ident) => {
        tests! { $backend,
            rivals: [
                daemons_that_start_at_once_agree,
                daemons_that_start_at_once_share_one_key,
                an_upload_begun_by_one_daemon_is_found_by_the_other,
                a_file_that_two_daemons_move_and_find_damaged_is_hidden_where_it_is,
                a_write_of_one_daemon_is_seen_by_the_other_at_once,
                one_path_pushed_to_two_daemons_is_created_once,
                one_file_pushed_to_two_daemons_is_recorded_once,
                a_closure_pushed_to_two_daemons_crosswise_is_stored_once,
                revisions_given_by_two_daemons_are_all_different,
                damage_found_by_one_daemon_never_hides_what_the_other_healed,
                a_client_key_and_paths_that_race_come_in_one_order,
                a_record_is_of_one_moment,
                both_daemons_hear_the_same_order,
            ]
            feed: [
                every_kind_of_change_is_heard_in_order_within_a_second,
                what_changes_nothing_is_not_heard,
                thousands_of_changes_at_once_are_all_heard,
                a_listener_that_was_cut_off_says_so_and_goes_on,
                the_feed_ends_when_the_catalog_is_closed,
            ]
        }
    };
}

mod sqlite_file {
    promises! { sqlite_file }
    durable_promises! { sqlite_file }
}

mod on_postgres {
    promises! { postgres }
    durable_promises! { postgres }
    promises_to_rivals! { postgres }
}

#[tokio::test]
async fn an_unsupported_database_is_named_without_its_password() {
    let error = crate::Catalog::open("mysql://user:secret@host/db").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "unsupported database `mysql`: expected sqlite:///path/to/file or postgres://user@host/database"
    );
}

#[tokio::test]
async fn only_a_server_is_shared() {
    for (backend, shared) in [(support::Backend::sqlite_file(), false), (support::Backend::postgres(), true)]
    {
        assert_eq!(backend.open().await.is_shared(), shared);
    }
}

#[tokio::test]
async fn on_sqlite_there_is_nobody_to_hear_of() {
    let catalog = support::Backend::sqlite_file().open().await;
    assert_eq!(Box::pin(catalog.changes()).next().await, None);
}
