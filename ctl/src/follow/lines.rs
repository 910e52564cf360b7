use std::time::{Duration, Instant};

use super::Figures;

/// The least time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Progress where there is no terminal: a line now and then, for logs.
pub struct Lines {
    /// When the last line was due.
    shown_at: Instant,
    shown: Option<String>,
    /// Since when, and from where, the speed is measured.
    from: Option<(Instant, Figures)>,
}

impl Lines {
    /// For a job that starts at `now`.
    pub fn new(now: Instant) -> Self {
        Self { shown_at: now, shown: None, from: None }
    }

    /// The line to show, if there is one: not too soon, and not the same again.
    pub fn progress(&mut self, figures: Figures, message: Option<&str>, now: Instant) -> Option<String> {
        let (since, first) = match self.from {
            Some((since, first)) if first.unit == figures.unit && first.done <= figures.done => {
                (since, first)
            }
            // The first figures, or those of another part of the work: what is done already took another time.
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
