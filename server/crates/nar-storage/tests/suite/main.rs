//! The promises of `Storage`, as one suite of scenarios that every backend passes.
//!
//! To add a backend, implement [`backend::Backend`] for it and give it a line in [`suite`].
#![allow(clippy::unwrap_used)]

mod backend;
mod bucket;
mod faults;
#[path = "../support/garage.rs"]
mod garage;
mod local;
mod marker;
mod mounts;
#[path = "../support/proxy.rs"]
mod proxy;
mod s3;
mod scenarios;
mod small_disk;

/// Makes a test of each scenario on each backend: those of every storage, and those of files that somebody else can
/// change while they are read.
macro_rules! suite {
    (every: [$($every:ident),* $(,)?], files: [$($files:ident),* $(,)?]) => {
        suite!(@backend local_storage, LocalBackend, $($every,)* $($files),*);
        suite!(@backend faultless_wrapper, WrappedBackend, $($every,)* $($files),*);
        suite!(@backend s3_storage, S3Backend, $($every),*);
    };
    (@backend $module:ident, $backend:ident, $($scenario:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    crate::scenarios::$scenario(&mut crate::backend::$backend::new().await).await;
                }
            )*
        }
    };
}

suite!(
    every: [
        what_was_put_is_read_back,
        what_was_put_later_is_visible_at_once_and_can_be_synced,
        syncing_what_is_not_there_is_no_error,
        objects_may_have_any_name_that_is_a_key,
        any_range_can_be_read,
        a_range_beyond_the_object_is_refused,
        a_put_replaces_what_is_there,
        a_reader_finishes_what_it_has_begun,
        concurrent_puts_of_one_key_leave_one_of_them_whole,
        an_object_can_be_deleted_twice,
        what_is_not_there_is_not_found,
        only_objects_with_the_prefix_are_listed,
        more_objects_than_fit_a_batch_are_listed_once_each,
        an_unexpected_size_is_noticed_before_any_byte,
        a_truncated_object_never_passes_for_a_whole_one,
        a_hot_object_deleted_behind_our_back_is_not_found,
        a_hot_object_replaced_behind_our_back_is_read_anew,
        a_file_that_is_not_in_the_spool_is_not_an_object_that_is_missing,
        left_overs_of_a_crash_are_removed_from_the_spool,
        a_working_storage_passes_its_probe_and_knows_its_space,
    ],
    files: [
        an_object_that_shrinks_while_it_is_read_ends_in_an_error,
        a_failed_put_leaves_nothing_behind_but_the_spooled_file,
    ]
);
