//! Lists that the daemon gives a page at a time.

use admin_api::MAX_PATHS_PER_PAGE;

use crate::error::Error;

/// Where a page begins: what the page before said, `None` for the first.
pub type Mark = Option<String>;

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
