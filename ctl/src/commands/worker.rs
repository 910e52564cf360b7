use admin_api::{JobInfo, JobState, WorkerInfo, WorkerState};
use serde::Serialize;

use super::job;
use crate::args::Worker;
use crate::client::Client;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, counted, plain, relative};

/// What the daemon is doing besides answering requests, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct Work {
    /// What it does again and again.
    pub workers: Vec<WorkerInfo>,
    /// The long jobs that run.
    pub jobs: Vec<JobInfo>,
}

/// `cachectl worker …`
pub async fn run(command: Worker, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Worker::List => {
            let workers = client.workers().await?;
            let mut jobs = client.jobs().await?;
            jobs.retain(|job| job.state == JobState::Running);
            let work = Work { workers, jobs };
            output.print(&work, |look| render(&work, look))
        }
        Worker::Pause { name } => {
            let worker = client.pause_worker(&name).await?;
            output.print(&worker, |_| paused(&worker))
        }
        Worker::Resume { name } => {
            let worker = client.resume_worker(&name).await?;
            output.print(&worker, |look| resumed(&worker, look.now))
        }
    }
}

/// The workers, what went wrong in one below, and the jobs.
pub fn render(work: &Work, look: &Look) -> String {
    let jobs = match work.jobs.as_slice() {
        [] => "No long job runs.\n".to_owned(),
        jobs => job::table(jobs, look),
    };
    let troubles: String = work.workers.iter().map(trouble).collect();
    format!("{}{troubles}\n{jobs}", table(&work.workers, look))
}

fn table(workers: &[WorkerInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("WORKER"),
        Column::text("STATE"),
        Column::text("LAST RUN"),
        Column::text("NEXT RUN"),
        Column::prose("DOES"),
    ]);
    for worker in workers {
        let time = |time: Option<i64>| time.map(|time| relative(look.now, time)).unwrap_or_default();
        let does = match &worker.progress {
            Some(progress) => format!("{} ({progress})", worker.does),
            None => worker.does.clone(),
        };
        table.add([
            worker.name.as_str().into(),
            state(worker.state),
            time(worker.last_run).into(),
            time(worker.next_run).into(),
            does.into(),
        ]);
    }
    table.render(look)
}

fn state(state: WorkerState) -> Cell {
    match state {
        WorkerState::Idle => Cell::new("idle", Tone::Plain),
        WorkerState::Working => Cell::new("working", Tone::Good),
        WorkerState::Waiting => Cell::new("waiting", Tone::Plain),
        WorkerState::Paused => Cell::new("paused", Tone::Odd),
        WorkerState::Failing => Cell::new("failing", Tone::Bad),
        WorkerState::Unknown => Cell::new("unknown", Tone::Odd),
    }
}

/// A line about what goes wrong in a worker, as long as it does.
fn trouble(worker: &WorkerInfo) -> String {
    match &worker.last_error {
        Some(error) if worker.errors_in_a_row > 0 => {
            let times = counted(worker.errors_in_a_row, "failed run");
            format!("{}: {times} in a row, the last: {}\n", plain(&worker.name), plain(error))
        }
        _ => String::new(),
    }
}

fn paused(worker: &WorkerInfo) -> String {
    let name = plain(&worker.name);
    match worker.state {
        WorkerState::Working => format!("{name} ends its present run and then pauses.\n"),
        _ => format!("Paused {name}. Resume it with `cachectl worker resume {name}`.\n"),
    }
}

fn resumed(worker: &WorkerInfo, now: i64) -> String {
    let name = plain(&worker.name);
    match worker.next_run {
        Some(time) if time > now => format!("Resumed {name}; its next run is {}.\n", relative(now, time)),
        _ => format!("Resumed {name}.\n"),
    }
}
