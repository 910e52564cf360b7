use std::time::{Instant, SystemTime, UNIX_EPOCH};

use admin_api::{JobInfo, NoteLevel};

use super::Figures;
use super::bar::Bar;
use super::job::{kind, name};
use super::lines::Lines;
use crate::output::{Output, plain, relative, say};

/// How the progress of a job is shown on standard error.
pub enum View {
    /// On a terminal.
    Bar(Bar),
    /// Elsewhere.
    Lines(Lines),
    /// Not at all, because the events go to standard output.
    Silent,
}

impl View {
    /// Returns the view that suits standard error and the output format.
    pub fn of_stderr(output: &Output) -> Self {
        if output.json {
            return Self::Silent;
        }
        match Bar::of_stderr() {
            Some(bar) => Self::Bar(bar),
            None => Self::Lines(Lines::new(Instant::now())),
        }
    }

    /// Shows that the job is running.
    pub fn started(&mut self, job: &JobInfo, joined: bool) {
        let (what, id) = (plain(&name(job)), plain(&job.id));
        let text = if joined {
            format!("Joined the {what}, which started {} (job {id}).", relative(now(), job.started_at))
        } else {
            format!("Started the {what} (job {id}).")
        };
        self.say(&text);
        if let Self::Bar(bar) = self {
            bar.start(kind(job));
        }
    }

    /// Shows progress under that name from now on, for work that is not a job of the daemon.
    pub fn begin(&mut self, kind: &'static str) {
        if let Self::Bar(bar) = self {
            bar.start(kind);
        }
    }

    /// Removes the bar until there is progress again.
    pub fn pause(&mut self) {
        if let Self::Bar(bar) = self {
            bar.hide();
        }
    }

    /// Shows the progress of the job.
    pub fn progress(&mut self, figures: Figures, message: Option<&str>) {
        match self {
            Self::Bar(bar) => bar.show(figures, message),
            Self::Lines(lines) => {
                if let Some(line) = lines.progress(figures, message, Instant::now()) {
                    say(&line);
                }
            }
            Self::Silent => {}
        }
    }

    /// Shows a note of the job.
    pub fn note(&mut self, level: NoteLevel, text: &str) {
        let text = plain(text);
        match level {
            NoteLevel::Info => self.say(&text),
            NoteLevel::Warn => self.say(&format!("warning: {text}")),
        }
    }

    /// Removes what is not to stay.
    pub fn close(mut self) {
        self.pause();
    }

    fn say(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.aside(|| say(line)),
            Self::Lines(_) => say(line),
            Self::Silent => {}
        }
    }
}

/// The current time in Unix seconds. A job may be followed for days, so the start time of the program does not serve.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
