use std::time::{Instant, SystemTime, UNIX_EPOCH};

use admin_api::{JobInfo, NoteLevel};

use super::bar::Bar;
use super::lines::Lines;
use super::{Figures, kind, name};
use crate::output::{Output, plain, relative, say};

/// How the way of a job to its end is shown on standard error.
pub enum View {
    /// On a terminal.
    Bar(Bar),
    /// Elsewhere.
    Lines(Lines),
    /// Not at all: the events go to standard output.
    Silent,
}

impl View {
    /// What suits standard error and the form of the output that the user chose.
    pub fn of_stderr(output: &Output) -> Self {
        if output.json {
            return Self::Silent;
        }
        match Bar::of_stderr() {
            Some(bar) => Self::Bar(bar),
            None => Self::Lines(Lines::new(Instant::now())),
        }
    }

    /// The job runs.
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

    /// The job has come so far.
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

    /// The job has something to tell.
    pub fn note(&mut self, level: NoteLevel, text: &str) {
        let text = plain(text);
        match level {
            NoteLevel::Info => self.say(&text),
            NoteLevel::Warn => self.say(&format!("warning: {text}")),
        }
    }

    /// There is nothing more to show.
    pub fn close(self) {
        if let Self::Bar(bar) = self {
            bar.clear();
        }
    }

    fn say(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.aside(|| say(line)),
            Self::Lines(_) => say(line),
            Self::Silent => {}
        }
    }
}

/// The present, in Unix seconds. A job may be followed for days, so that of the start of the program will not do.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
