use super::support::{Backend, Fixture, path_hash, store_path};
use crate::{CacheId, CacheSize, NameSearch, UnixTime, WebSession};
use uuid::Uuid;

async fn search(fixture: &Fixture, search: NameSearch) -> Vec<String> {
    let found = fixture.catalog.search_names(fixture.cache, search).await.unwrap();
    found.iter().map(|line| line.path.name().to_owned()).collect()
}

pub(super) async fn names_are_searched_page_by_page(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in [1, 12, 112, 2, 21] {
        fixture.create(number, number).await;
    }
    let words = |words: &[&str], limit| NameSearch {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        limit,
        ..NameSearch::default()
    };
    assert_eq!(search(&fixture, words(&[], 9)).await.len(), 5);
    assert_eq!(search(&fixture, words(&["12"], 9)).await, ["path-112", "path-12"]);
    assert_eq!(search(&fixture, words(&["PATH", "21"], 9)).await, ["path-21"]);
    for nothing in ["%", "_", "\\", "nothing"] {
        assert!(search(&fixture, words(&[nothing], 9)).await.is_empty(), "{nothing}");
    }
    let start = NameSearch { start: "path-1".to_owned(), limit: 9, ..NameSearch::default() };
    assert_eq!(search(&fixture, start).await, ["path-1", "path-112", "path-12"]);
    let first = search(&fixture, words(&[], 3)).await;
    let last = store_path(first[2].strip_prefix("path-").unwrap().parse().unwrap());
    let after = Some((last.name().to_owned(), *last.hash()));
    let rest = search(&fixture, NameSearch { after, ..words(&[], 9) }).await;
    assert_eq!([first, rest].concat(), search(&fixture, words(&[], 9)).await);
}

pub(super) async fn names_come_in_the_order_of_their_bytes(backend: Backend) {
    let fixture = backend.fixture().await;
    let sorted = ["B", "a", "a+b", "a-10", "a-2", "aB", "a_", "ab", "b"];
    for (number, name) in (1..).zip(sorted.iter().rev()) {
        let path = nix_formats::StorePath::new(path_hash(number), name).unwrap();
        fixture
            .catalog
            .commit_path(crate::PathCommit { path, ..fixture.commit(number, number) })
            .await
            .unwrap();
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let search = NameSearch { after, limit: 2, ..NameSearch::default() };
        let page = fixture.catalog.search_names(fixture.cache, search).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.path.name().to_owned(), *last.path.hash()));
        found.extend(page.iter().map(|line| line.path.name().to_owned()));
    }
    assert_eq!(found, sorted);
    let start = NameSearch { start: "a-".to_owned(), limit: 9, ..NameSearch::default() };
    assert_eq!(search(&fixture, start).await, ["a-10", "a-2"]);
}

pub(super) async fn the_newest_and_the_largest_paths_come_first(backend: Backend) {
    let fixture = backend.fixture().await;
    for number in [1, 3, 2] {
        fixture.create(number, number).await;
    }
    let names = |lines: Vec<crate::PathLine>| {
        lines.iter().map(|line| line.path.name().to_owned()).collect::<Vec<_>>()
    };
    let newest = fixture.catalog.newest_paths(fixture.cache, 2).await.unwrap();
    assert_eq!(names(newest), ["path-2", "path-3"]);
    let largest = fixture.catalog.largest_visible(fixture.cache, 2).await.unwrap();
    assert_eq!(names(largest), ["path-3", "path-2"]);
    fixture.damage(3).await;
    let largest = fixture.catalog.largest_visible(fixture.cache, 2).await.unwrap();
    assert_eq!(names(largest), ["path-2", "path-1"]);
    let added = fixture.catalog.added_since(fixture.cache, UnixTime(0), 1000, 2).await.unwrap();
    assert_eq!(
        added.iter().map(|span| (span.nars, span.bytes)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (3, 306)
    );
    let by_hash = [path_hash(2), path_hash(9), path_hash(1)];
    let lines = fixture.catalog.lines_by_hash(fixture.cache, &by_hash).await.unwrap();
    assert_eq!(names(lines), ["path-2", "path-1"]);
}

pub(super) async fn references_are_followed_both_ways(backend: Backend) {
    let fixture = backend.fixture().await;
    // Path 1 refers to 1001, and path 1001 to 2001, which is missing.
    for number in [1, 1001] {
        fixture.create(number, number).await;
    }
    let closure = fixture.catalog.closure(fixture.cache, path_hash(1), 100).await.unwrap();
    assert_eq!((closure.paths, closure.missing, closure.is_cut), (2, 1, false));
    assert_eq!((closure.file_bytes, closure.nar_bytes), (101 + 1101, 1010 + 11010));
    assert!(fixture.catalog.closure(fixture.cache, path_hash(1), 1).await.unwrap().is_cut);
    let referrers = fixture.catalog.referrers(fixture.cache, &path_hash(1001), None, 9).await.unwrap();
    // Itself is left out.
    assert_eq!(referrers.iter().map(|referrer| referrer.path.clone()).collect::<Vec<_>>(), [store_path(1)]);
    let after = Some(referrers[0].id);
    assert!(fixture.catalog.referrers(fixture.cache, &path_hash(1001), after, 9).await.unwrap().is_empty());
}

pub(super) async fn sessions_end_and_are_bounded(backend: Backend) {
    let fixture = backend.fixture().await;
    let catalog = &fixture.catalog;
    let (token, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let later = UnixTime(UnixTime::now().0 + 1000);
    let session = |number: u8, token, expires_at| WebSession { id: [number; 32], token, expires_at };
    catalog.add_web_session(session(0, token, UnixTime(1))).await.unwrap();
    catalog.add_web_session(session(100, other, later)).await.unwrap();
    assert_eq!(catalog.find_web_session(&[0; 32]).await.unwrap(), None, "it has expired");
    for number in 1..=25 {
        catalog.add_web_session(session(number, token, later)).await.unwrap();
    }
    let mut open = 0;
    for number in 0..=25 {
        open += usize::from(catalog.find_web_session(&[number; 32]).await.unwrap() == Some(token));
    }
    assert_eq!(open, 20);
    assert_eq!(catalog.find_web_session(&[100; 32]).await.unwrap(), Some(other), "of another token");
    catalog.remove_web_session([100; 32]).await.unwrap();
    assert_eq!(catalog.find_web_session(&[100; 32]).await.unwrap(), None);
}

pub(super) async fn sizes_are_kept_one_a_day_and_forgotten_when_they_are_old(backend: Backend) {
    let fixture = backend.fixture().await;
    let size = |day, bytes| CacheSize {
        cache: fixture.cache,
        day,
        paths: 1,
        file_bytes: bytes,
        nar_bytes: 2 * bytes,
    };
    let since = |day| fixture_sizes(&fixture, day);
    fixture.catalog.record_sizes(vec![size(100, 1)], 0).await.unwrap();
    fixture.catalog.record_sizes(vec![size(101, 5)], 0).await.unwrap();
    fixture.catalog.record_sizes(vec![size(101, 7)], 0).await.unwrap();
    assert_eq!(since(0).await, [size(100, 1), size(101, 7)], "the last of a day counts");
    assert_eq!(since(101).await, [size(101, 7)]);
    let gone = CacheSize { cache: CacheId(9999), ..size(102, 9) };
    fixture.catalog.record_sizes(vec![gone, size(102, 9)], 101).await.unwrap();
    assert_eq!(since(0).await, [size(101, 7), size(102, 9)], "a cache that is gone is no reason to fail");
}

async fn fixture_sizes(fixture: &Fixture, day: i64) -> Vec<CacheSize> {
    fixture.catalog.sizes_since(fixture.cache, day).await.unwrap()
}
