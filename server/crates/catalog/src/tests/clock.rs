//! The time that was last seen.

use super::support::Backend;
use crate::UnixTime;

pub(super) async fn the_time_last_seen_goes_back_only_when_it_is_set(backend: Backend) {
    let catalog = backend.open().await;
    assert_eq!(catalog.time_last_seen().await.unwrap(), None);
    for (noted, seen) in [(100, 100), (90, 100), (110, 110)] {
        catalog.note_time(UnixTime(noted)).await.unwrap();
        assert_eq!(catalog.time_last_seen().await.unwrap(), Some(UnixTime(seen)));
    }
    catalog.reset_time(UnixTime(50)).await.unwrap();
    assert_eq!(catalog.time_last_seen().await.unwrap(), Some(UnixTime(50)));
    catalog.note_time(UnixTime(60)).await.unwrap();
    assert_eq!(catalog.time_last_seen().await.unwrap(), Some(UnixTime(60)));
}
