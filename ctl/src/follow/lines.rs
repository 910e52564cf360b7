use std::time::{Duration, Instant};

use super::Figures;

/// The least time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Progress as occasional lines, for logs.
pub struct Lines {
    /// When the last line was shown.
    shown_at: Instant,
    shown: Option<String>,
    /// The time and the figures from which the speed is measured.
    from: Option<(Instant, Figures)>,
}

impl Lines {
    /// Starts at `now`.
    pub fn new(now: Instant) -> Self {
        Self { shown_at: now, shown: None, from: None }
    }

    /// Returns the line to show, unless the last one was too recent or the same.
    pub fn progress(&mut self, figures: Figures, message: Option<&str>, now: Instant) -> Option<String> {
        let (since, first) = match self.from {
            Some((since, first)) if first.unit == figures.unit && first.done <= figures.done => {
                (since, first)
            }
            // The first figures, or those of another phase: how long the finished amount took is unknown.
            _ => *self.from.insert((now, figures)),
        };
        if now.duration_since(self.shown_at) < INTERVAL {
            return None;
        }
        let position = match message {
            Some(message) => format!("{} ({message})", figures.text()),
            None => figures.text(),
        };
        if self.shown.as_ref() == Some(&position) {
            return None;
        }
        let elapsed = now.duration_since(since).as_secs_f64();
        let rate = (figures.done - first.done) as f64 / elapsed;
        let line = match message {
            Some(message) => format!("{}: {message}", figures.text_at(rate)),
            None => figures.text_at(rate),
        };
        self.shown_at = now;
        self.shown = Some(position);
        self.from = Some((now, figures));
        Some(line)
    }
}
