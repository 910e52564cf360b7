//! Long jobs.

use admin_api::{JobInfo, JobState, ListJobs, StopJob};
use clap::Subcommand;

use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::follow::{Figures, brief, name};
use crate::output::{Cell, Column, Look, Output, Table, Tone, plain, relative};

/// `cachectl job …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the running jobs and the last ones that ended
    #[command(after_help = "Examples:\n  \
        cachectl job list\n  \
        cachectl job list --json | jq '.[] | select(.state == \"running\")'")]
    List,
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
        Command::List => {
            let jobs = client.call(&ListJobs {}).await?;
            output.print(&jobs, |look| table(&jobs, look))
        }
        Command::Stop { id } => {
            let job = client.call(&StopJob { id }).await?;
            output.print(&job, |_| stopped(&job))
        }
    }
}

/// Renders a table of jobs, and the last error of each below.
pub fn table(jobs: &[JobInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("ID"),
        Column::prose("JOB"),
        Column::text("STATE"),
        Column::prose("PROGRESS"),
        Column::text("STARTED"),
    ]);
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
            errors.push_str(&format!("job {}: {}\n", plain(&job.id), plain(error)));
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
