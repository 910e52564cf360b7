//! Lists that the daemon gives a page at a time.

use std::cmp::Ordering;

use admin_api::MAX_PATHS_PER_PAGE;

use crate::error::Error;

/// Where a page begins: what the page before said, `None` for the first.
pub type Mark = Option<String>;

/// Fetches the whole list of the cache and returns the first `most` rows in an order of its own. No more than those and a page
/// are held at a time. The mark is always `None`: such a list has no next page.
///
/// # Errors
///
/// As [`collect`].
pub async fn collect_first<R>(
    cache: &str,
    most: u64,
    order: impl Fn(&R, &R) -> Ordering,
    ahead: impl Fn(&Mark, &Mark) -> bool,
    fetch: impl AsyncFn(Mark, u32) -> Result<(Vec<R>, Mark), Error>,
) -> Result<(Vec<R>, Mark), Error> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (mut first, mut mark) = (Vec::new(), None);
    loop {
        let (page, next) = collect(cache, mark, MAX_PATHS_PER_PAGE.into(), &ahead, &fetch).await?;
        first.extend(page);
        first.sort_by(&order);
        first.truncate(most);
        mark = next;
        if mark.is_none() {
            return Ok((first, None));
        }
    }
}

/// Fetches rows until there are `most` or the list of the cache ends. Returns them with the mark of the next page, if there is
/// one. `fetch` is given a mark and the most rows to fetch.
///
/// # Errors
///
/// [`Error::EndlessList`] if the next page is not `ahead` of the one before.
pub async fn collect<R>(
    cache: &str,
    mut mark: Mark,
    most: u64,
    ahead: impl Fn(&Mark, &Mark) -> bool,
    fetch: impl AsyncFn(Mark, u32) -> Result<(Vec<R>, Mark), Error>,
) -> Result<(Vec<R>, Mark), Error> {
    let mut rows = Vec::new();
    let mut left = most;
    while left > 0 {
        let limit = u32::try_from(left).unwrap_or(u32::MAX).min(MAX_PATHS_PER_PAGE);
        let (page, next) = fetch(mark.clone(), limit).await?;
        if next.is_some() && !ahead(&next, &mark) {
            return Err(Error::EndlessList { cache: cache.to_owned() });
        }
        left = left.saturating_sub(page.len() as u64);
        rows.extend(page);
        mark = next;
        if mark.is_none() {
            break;
        }
    }
    Ok((rows, mark))
}
