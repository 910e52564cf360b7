use super::support::{Backend, Fixture, path_hash, store_path};
use crate::{PathTotals, UnixTime};

async fn names(fixture: &Fixture, after: Option<u32>, limit: u64) -> Vec<String> {
    let found = fixture.catalog.path_lines(fixture.cache, after.map(path_hash), limit).await.unwrap();
    found.iter().map(|line| line.path.name().to_owned()).collect()
}

pub(super) async fn lines_come_in_pages(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in [1, 2, 12, 21] {
        fixture.create(number, number).await;
    }
    assert_eq!(names(&fixture, None, 2).await, ["path-1", "path-2"]);
    assert_eq!(names(&fixture, Some(2), 9).await, ["path-12", "path-21"]);
}

pub(super) async fn a_line_says_where_a_path_lies_and_how_large_it_is(backend: Backend) {
    let fixture = backend.fixture().await;
    fixture.create(1, 7).await;
    fixture.create(2, 9).await;
    fixture.damage(9).await;
    let largest = fixture.catalog.largest_paths(fixture.cache, 5).await.unwrap();
    assert_eq!(largest[0].path, store_path(2));
    assert!(largest[0].damaged && !largest[1].damaged);
    assert_eq!((largest[1].file_size, largest[1].nar_size, largest[1].storage), (107, 1070, fixture.first));
    assert_eq!(fixture.catalog.largest_paths(fixture.cache, 1).await.unwrap(), largest[..1]);
}

pub(super) async fn totals_count_the_paths_used_in_a_span_of_time(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in [1, 2, 3] {
        fixture.create(number, number).await;
    }
    let later = UnixTime(2_000_000);
    fixture.catalog.touch(vec![(fixture.cache, path_hash(3), later)]).await.unwrap();
    let totals = async |from, to| fixture.catalog.path_totals(fixture.cache, from, to).await.unwrap();
    assert_eq!(totals(None, None).await, PathTotals { paths: 3, bytes: 101 + 102 + 103 });
    assert_eq!(totals(None, Some(later)).await, PathTotals { paths: 2, bytes: 101 + 102 });
    assert_eq!(totals(Some(later), None).await, PathTotals { paths: 1, bytes: 103 });
    assert_eq!(totals(Some(UnixTime(later.0 + 1)), None).await, PathTotals::default());
}
