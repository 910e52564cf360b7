use admin_api::{JobInfo, JobState};

use crate::args::Job;
use crate::client::Client;
use crate::error::Error;
use crate::follow::{Figures, brief, name};
use crate::output::{Cell, Column, Look, Output, Table, Tone, plain, relative};

/// `cachectl job …`
pub async fn run(command: Job, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Job::List => {
            let jobs = client.jobs().await?;
            output.print(&jobs, |look| table(&jobs, look))
        }
        Job::Stop { id } => {
            let job = client.stop_job(&id).await?;
            output.print(&job, |_| stopped(&job))
        }
    }
}

/// A table of jobs; what went wrong in one is told below.
pub fn table(jobs: &[JobInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("ID"),
        Column::prose("JOB"),
        Column::text("STATE"),
        Column::prose("PROGRESS"),
        Column::text("STARTED"),
    ]);
    let mut troubles = String::new();
    for job in jobs {
        table.add([
            job.id.as_str().into(),
            name(job).into(),
            state(job.state),
            progress(job).into(),
            relative(look.now, job.started_at).into(),
        ]);
        if let Some(error) = &job.last_error {
            troubles.push_str(&format!("job {}: {}\n", plain(&job.id), plain(error)));
        }
    }
    table.render(look) + &troubles
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
        JobState::Done => format!("The {what} (job {id}) had ended already: {progress}.\n"),
        JobState::Failed => format!("The {what} (job {id}) had failed already: {progress}.\n"),
    }
}
