//! How a cache grew, as charts.

use catalog::{CacheSize, UnixTime};
use maud::{Markup, html};

use super::figures::{DAY, Figures};
use crate::deploy::time;
use crate::http::web::text::{count, number, size};

/// Width and height of a chart, which is stretched to the width of the page.
const WIDTH: u32 = 600;
const HEIGHT: u32 = 90;
/// The most bars of the chart of sizes. With more days, some are left out.
const BARS: usize = 60;
/// Days in the table of sizes.
const ROWS: usize = 14;

/// How large the cache was: a bar a day, and the last days as a table. Nothing before the second day.
pub fn size_chart(figures: &Figures) -> Markup {
    let [first, .., last] = figures.sizes.as_slice() else { return html! {} };
    let shown = thinned(&figures.sizes, BARS);
    let most = shown.iter().map(|day| day.file_bytes).max().unwrap_or(0).max(1);
    let days = u32::try_from(last.day - first.day + 1).unwrap_or(u32::MAX).max(1);
    let change = last.file_bytes.saturating_sub(first.file_bytes);
    let word = if change < 0 { "less" } else { "more" };
    let summary = format!(
        "{} in {}: {} {word} than {}",
        size(last.file_bytes.unsigned_abs()),
        count(last.paths.unsigned_abs(), "path", "paths"),
        size(change.unsigned_abs()),
        count(u64::from(days) - 1, "day ago", "days ago"),
    );
    let step = f64::from(WIDTH) / f64::from(days);
    let wide = (f64::from(WIDTH) / shown.len().max(1) as f64).min(step * 8.0) - 2.0;
    html! {
        p.soft { (summary) "." }
        svg.chart role="img" aria-label=(format!("Size by day. {summary}")) viewBox=(format!("0 0 {WIDTH} {HEIGHT}"))
            preserveAspectRatio="none" {
            @for day in &shown {
                @let at = step * f64::from(u32::try_from(day.day - first.day).unwrap_or(0));
                @let tall = height(day.file_bytes.unsigned_abs(), most.unsigned_abs());
                rect x=(format!("{:.1}", (at + 1.0).min(f64::from(WIDTH) - wide - 1.0)))
                    y=(format!("{:.1}", f64::from(HEIGHT) - tall))
                    width=(format!("{:.1}", wide.max(0.5))) height=(format!("{tall:.1}")) {
                    title { (date(day.day)) ": " (size(day.file_bytes.unsigned_abs())) ", " (count(day.paths.unsigned_abs(), "path", "paths")) }
                }
            }
        }
        div.ends { span { (date(first.day)) } span { (date(last.day)) } }
        details {
            summary { "The last days as a table" }
            table {
                thead { tr { th { "Day" } th.number { "Paths" } th.number { "Stored" } th.number.wide { "Unpacked" } } }
                tbody {
                    @for day in figures.sizes.iter().rev().take(ROWS) {
                        tr {
                            td { (date(day.day)) }
                            td.number { (number(day.paths.unsigned_abs())) }
                            td.number { (size(day.file_bytes.unsigned_abs())) }
                            td.number.wide { (size(day.nar_bytes.unsigned_abs())) }
                        }
                    }
                }
            }
        }
    }
}

/// At most so many of the days, evenly, with the last one.
fn thinned(days: &[CacheSize], most: usize) -> Vec<CacheSize> {
    let step = days.len().div_ceil(most.max(1)).max(1);
    let mut shown: Vec<CacheSize> = days.iter().rev().step_by(step).copied().collect();
    shown.reverse();
    shown
}

/// The date of a day since 1970.
fn date(day: i64) -> String {
    time::format(UnixTime(day.saturating_mul(DAY.into()))).get(..10).unwrap_or_default().to_owned()
}

/// The height of a bar. Whatever is more than nothing can be seen.
#[expect(clippy::cast_precision_loss, reason = "a pixel more or less does not matter")]
fn height(bytes: u64, most: u64) -> f64 {
    let height = bytes as f64 / most.max(1) as f64 * f64::from(HEIGHT);
    if bytes > 0 { height.max(1.5) } else { 0.0 }
}

/// What was added on each day.
pub fn chart(figures: &Figures) -> Markup {
    let days = figures.growth.len();
    if days == 0 {
        return html! { p.soft { "What was added in the last days is being added up. Reload the page in a moment." } };
    }
    let most = figures.growth.iter().map(|day| day.bytes).max().unwrap_or(0).max(1);
    let total: u64 = figures.growth.iter().map(|day| day.bytes).sum();
    let files: u64 = figures.growth.iter().map(|day| day.nars).sum();
    let first = figures.since.0.div_euclid(DAY.into());
    let date = |day: usize| date(first + i64::try_from(day).unwrap_or(0));
    let summary = format!("{} in {} were added in {days} days", size(total), count(files, "file", "files"));
    let step = f64::from(WIDTH) / f64::from(u32::try_from(days.max(1)).unwrap_or(1));
    html! {
        p.soft { (summary) ", of what is still there. The largest day had " (size(if total == 0 { 0 } else { most })) "." }
        svg.chart role="img" aria-label=(summary) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" {
            @for (number, day) in figures.growth.iter().enumerate() {
                @let at = step * f64::from(u32::try_from(number).unwrap_or(0));
                @let tall = height(day.bytes, most);
                rect x=(format!("{:.1}", at + 1.0)) y=(format!("{:.1}", f64::from(HEIGHT) - tall))
                    width=(format!("{:.1}", step - 2.0)) height=(format!("{tall:.1}")) {
                    title { (date(number)) ": " (size(day.bytes)) ", " (count(day.nars, "file", "files")) }
                }
            }
        }
        div.ends { span { (date(0)) } span { (date(days.saturating_sub(1))) } }
    }
}

#[cfg(test)]
mod tests {
    use catalog::CacheId;

    use super::*;

    #[test]
    fn many_days_are_thinned_out_and_the_last_one_stays() {
        let day = |day| CacheSize { cache: CacheId(1), day, paths: 1, file_bytes: 1, nar_bytes: 1 };
        let days: Vec<CacheSize> = (1..=400).map(day).collect();
        let shown = thinned(&days, BARS);
        assert!(shown.len() <= BARS && shown.len() > BARS / 2);
        assert_eq!(shown.last().map(|day| day.day), Some(400));
        assert_eq!(thinned(&days[..3], BARS), days[..3]);
    }
}
