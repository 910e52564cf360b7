//! Long jobs.

use admin_api::{JobInfo, JobState, ListJobs, StopJob};
use clap::Subcommand;

use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::{Figures, brief, name};
use crate::output::{Cell, Column, Look, Output, Table, Tone, counted, note, plain, relative};

/// The most jobs that have ended on a terminal, unless all are asked for: with errors below, a screen of 24 lines.
const SHOWN: usize = 10;

/// What there is to say without jobs.
const NONE: &str = "No jobs.";

const COLUMNS: [Column; 5] = [
    Column::text("ID"),
    Column::prose("JOB"),
    Column::text("STATE"),
    Column::prose("PROGRESS"),
    Column::text("STARTED"),
];

/// `cachectl job …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the running jobs and the last ones that ended
    #[command(after_help = "Examples:\n  \
        cachectl job list\n  \
        cachectl job list --all\n  \
        cachectl job list --json | jq '.[] | select(.state == \"running\")'")]
    List {
        /// List all jobs that are remembered, however long the list is
        #[arg(long)]
        all: bool,
    },
    /// Stop a job; the work that it has done is kept
    #[command(after_help = "Example:\n  cachectl job stop 7")]
    Stop {
        /// The id that `job list` shows
        #[arg(add = complete::jobs())]
        id: String,
    },
}

/// `cachectl job …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List { all } => {
            let jobs = client.call(&ListJobs {}).await?;
            output.print(&jobs, |look| list(&jobs, all, look))
        }
        Command::Stop { id } => {
            let job = client.call(&StopJob { id }).await?;
            output.print(&job, |_| stopped(&job))
        }
    }
}

/// Renders the list: on a terminal one line a job and what fits on a screen, unless all is asked for.
pub fn list(jobs: &[JobInfo], all: bool, look: &Look) -> String {
    if all || look.width.is_none() {
        return table(jobs, look);
    }
    // The running ones are first, then the newest.
    let mut ended = 0;
    let mut shown = jobs.to_vec();
    shown.retain(|job| {
        ended += usize::from(job.state != JobState::Running);
        job.state == JobState::Running || ended <= SHOWN
    });
    let earlier = (jobs.len() - shown.len()) as u64;
    let mut text = short_table(&shown, look);
    if earlier > 0 {
        text.push_str(&format!("{} not shown: `cachectl job list --all`\n", counted(earlier, "earlier job")));
    }
    text
}

/// Renders a table of jobs, one line each, and the last error of each below.
pub fn short_table(jobs: &[JobInfo], look: &Look) -> String {
    fill(Table::new(COLUMNS).with_short_rows().or(NONE), jobs, look)
}

/// Renders a table of jobs, and the last error of each below.
pub fn table(jobs: &[JobInfo], look: &Look) -> String {
    fill(Table::new(COLUMNS).or(NONE), jobs, look)
}

fn fill(mut table: Table<5>, jobs: &[JobInfo], look: &Look) -> String {
    let mut errors = String::new();
    for job in jobs {
        table.add([
            job.id.as_str().into(),
            name(job).into(),
            state(job.state),
            progress(job).into(),
            relative(look.now, job.started_at).into(),
        ]);
        if let Some(error) = &job.last_error {
            errors.push_str(&note(&format!("job {}: {}", plain(&job.id), plain(error)), look));
        }
    }
    table.render(look) + &errors
}

fn progress(job: &JobInfo) -> String {
    match &job.summary {
        Some(summary) => brief(summary),
        None => Figures { done: job.done, total: job.total, unit: job.unit }.text(),
    }
}

fn state(state: JobState) -> Cell {
    match state {
        JobState::Running => Cell::new("running", Tone::Plain),
        JobState::Done => Cell::new("done", Tone::Good),
        JobState::Failed => Cell::new("failed", Tone::Bad),
        JobState::Stopped => Cell::new("stopped", Tone::Odd),
    }
}

fn stopped(job: &JobInfo) -> String {
    let (what, id, progress) = (plain(&name(job)), plain(&job.id), progress(job));
    match job.state {
        JobState::Stopped => format!("Stopped the {what} (job {id}): {progress}.\n"),
        JobState::Running => format!("The {what} (job {id}) is stopping: {progress}.\n"),
        JobState::Done => format!("The {what} (job {id}) had already ended: {progress}.\n"),
        JobState::Failed => format!("The {what} (job {id}) had already failed: {progress}.\n"),
    }
}
