//! How a cache grew, as a chart.

use catalog::UnixTime;
use maud::{Markup, html};

use super::figures::{DAY, Figures};
use crate::deploy::time;
use crate::http::web::text::{count, size};

/// Width and height of the chart, which is stretched to the width of the page.
const WIDTH: u32 = 600;
const HEIGHT: u32 = 90;

/// What was added on each day.
pub fn chart(figures: &Figures) -> Markup {
    let days = figures.growth.len();
    let most = figures.growth.iter().map(|day| day.bytes).max().unwrap_or(0).max(1);
    let total: u64 = figures.growth.iter().map(|day| day.bytes).sum();
    let files: u64 = figures.growth.iter().map(|day| day.nars).sum();
    let date = |day: usize| {
        let at = UnixTime(figures.since.0 + i64::from(DAY) * i64::try_from(day).unwrap_or(0));
        time::format(at).get(..10).unwrap_or_default().to_owned()
    };
    let summary = format!("{} in {} were added in {days} days", size(total), count(files, "file", "files"));
    let step = f64::from(WIDTH) / f64::from(u32::try_from(days.max(1)).unwrap_or(1));
    #[expect(clippy::cast_precision_loss, reason = "a pixel more or less does not matter")]
    let height = |bytes: u64| {
        let height = bytes as f64 / most as f64 * f64::from(HEIGHT);
        if bytes > 0 { height.max(1.5) } else { 0.0 }
    };
    html! {
        p.soft { (summary) ", of what is still there. The largest day had " (size(if total == 0 { 0 } else { most })) "." }
        svg.chart role="img" aria-label=(summary) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" {
            @for (number, day) in figures.growth.iter().enumerate() {
                @let at = step * f64::from(u32::try_from(number).unwrap_or(0));
                @let tall = height(day.bytes);
                rect x=(format!("{:.1}", at + 1.0)) y=(format!("{:.1}", f64::from(HEIGHT) - tall))
                    width=(format!("{:.1}", step - 2.0)) height=(format!("{tall:.1}")) {
                    title { (date(number)) ": " (size(day.bytes)) ", " (count(day.nars, "file", "files")) }
                }
            }
        }
        div.ends { span { (date(0)) } span { (date(days.saturating_sub(1))) } }
    }
}
