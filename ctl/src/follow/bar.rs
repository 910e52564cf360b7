use std::fmt;

use admin_api::Unit;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::Figures;

/// A progress bar on a terminal.
pub struct Bar {
    /// The kind of the job, shown before the bar.
    kind: &'static str,
    /// `None` until there is progress to show.
    drawn: Option<(ProgressBar, Shape)>,
}

/// What the style of a bar depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    unit: Unit,
    has_total: bool,
    has_message: bool,
}

impl Bar {
    /// Returns a bar on standard error, if that is a terminal that can show one.
    pub fn of_stderr() -> Option<Self> {
        (!ProgressDrawTarget::stderr().is_hidden()).then_some(Self { kind: "", drawn: None })
    }

    /// Sets the kind of the job.
    pub fn start(&mut self, kind: &'static str) {
        self.kind = kind;
    }

    /// Shows the progress of the job.
    pub fn show(&mut self, figures: Figures, message: Option<&str>) {
        let Figures { done, total, unit } = figures;
        let shape = Shape { unit, has_total: total.is_some(), has_message: message.is_some() };
        let bar = match self.drawn.take() {
            Some((bar, before)) if before.unit == unit => {
                if before != shape {
                    bar.set_style(style(self.kind, shape));
                }
                bar
            }
            other_work => {
                if let Some((bar, _)) = other_work {
                    bar.finish_and_clear();
                }
                begin(done).with_style(style(self.kind, shape))
            }
        };
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_message(message.unwrap_or_default().to_owned());
        bar.set_position(done);
        self.drawn = Some((bar, shape));
    }

    /// Runs `print`, which may print lines above the bar.
    pub fn aside(&self, print: impl FnOnce()) {
        match &self.drawn {
            Some((bar, _)) => bar.suspend(print),
            None => print(),
        }
    }

    /// Removes the bar until there is progress again.
    pub fn hide(&mut self) {
        if let Some((bar, _)) = self.drawn.take() {
            bar.finish_and_clear();
        }
    }
}

/// Returns a bar that starts at `done`, without taking that for an amount per second.
fn begin(done: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    bar.set_position(done);
    // Records the jump and then forgets it, while the bar is hidden.
    bar.tick();
    bar.reset_eta();
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar
}

fn style(kind: &str, shape: Shape) -> ProgressStyle {
    let Shape { unit, has_total, has_message } = shape;
    let bar = if has_total { "wide_bar" } else { "spinner" };
    let message = if has_message { "\n{wide_msg}" } else { "" };
    let figures = move |state: &ProgressState, text: &mut dyn fmt::Write| {
        let figures = Figures { done: state.pos(), total: state.len(), unit };
        // Writing to memory does not fail.
        let _ = text.write_str(&figures.text_at(state.per_sec()));
    };
    ProgressStyle::with_template(&format!("{kind} {{{bar}}} {{figures}}{message}"))
        .expect("the template is well formed")
        .progress_chars("━╸─")
        .with_key("figures", figures)
}
