use super::support::Backend;
use crate::{CatalogError, JobState, NarId, StorageJob, UnixTime};

pub(super) async fn a_job_goes_on_where_it_was(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let state = async |storage, job| catalog.job_state(storage, job).await.unwrap();
    assert_eq!(state(fixture.first, StorageJob::Scrub).await, None);

    let begun = JobState {
        after: None,
        started_at: UnixTime(100),
        finished_at: None,
        files: 0,
        bytes: 0,
        damaged: 0,
        failed: 0,
    };
    let half = JobState { after: Some(NarId(7)), files: 5, bytes: 500, damaged: 1, failed: 2, ..begun };
    let whole = JobState { after: Some(NarId(9)), finished_at: Some(UnixTime(200)), files: 9, ..half };
    // A job over everything that starts anew forgets what was.
    for saved in [begun, half, whole, begun] {
        catalog.save_job_state(fixture.first, StorageJob::Scrub, saved).await.unwrap();
        assert_eq!(state(fixture.first, StorageJob::Scrub).await, Some(saved));
    }
    // There is one for each storage and kind.
    catalog.save_job_state(fixture.first, StorageJob::Drain, half).await.unwrap();
    catalog.save_job_state(fixture.second, StorageJob::Rebalance, whole).await.unwrap();
    assert_eq!(state(fixture.first, StorageJob::Scrub).await, Some(begun));
    assert_eq!(state(fixture.first, StorageJob::Drain).await, Some(half));
    assert_eq!(state(fixture.second, StorageJob::Rebalance).await, Some(whole));
    assert_eq!(state(fixture.second, StorageJob::Drain).await, None);

    let too_large = JobState { bytes: u64::MAX, ..begun };
    let error = catalog.save_job_state(fixture.first, StorageJob::Scrub, too_large).await.unwrap_err();
    assert!(matches!(error, CatalogError::TooLarge { .. }), "{error}");
}
