//! The daemon's background workers.

use admin_api::{
    JobInfo, JobState, ListJobs, ListWorkers, PauseWorker, ResumeWorker, WorkerInfo, WorkerState,
};
use clap::Subcommand;
use serde::Serialize;

use super::job;
use crate::client::Client;
use crate::complete;
use crate::error::Error;
use crate::output::{Cell, Column, Look, Output, Table, Tone, counted, note, plain, relative};

/// `cachectl worker …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the background workers and the running jobs
    ///
    /// On a terminal, workers that have nothing to do are counted only.
    #[command(after_help = "Examples:\n  \
        cachectl worker list\n  \
        cachectl worker list --all\n  \
        cachectl worker list --json | jq '.workers[] | select(.errors_in_a_row > 0)'")]
    List {
        /// List the idle workers, too
        #[arg(long)]
        all: bool,
    },
    /// Pause a worker until it is resumed or the daemon restarts
    #[command(after_help = "Example:\n  cachectl worker pause gc")]
    Pause {
        /// The name that `worker list` shows
        #[arg(add = complete::workers())]
        name: String,
    },
    /// Resume a paused worker
    #[command(after_help = "Example:\n  cachectl worker resume gc")]
    Resume {
        /// The name that `worker list` shows
        #[arg(add = complete::workers())]
        name: String,
    },
}

/// What the daemon does besides answering requests, as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct Work {
    /// The background workers.
    pub workers: Vec<WorkerInfo>,
    /// The running jobs.
    pub jobs: Vec<JobInfo>,
}

/// `cachectl worker …`
pub async fn run(command: Command, client: &Client, output: &Output) -> Result<(), Error> {
    match command {
        Command::List { all } => {
            let workers = client.call(&ListWorkers {}).await?;
            let mut jobs = client.call(&ListJobs {}).await?;
            jobs.retain(|job| job.state == JobState::Running);
            let work = Work { workers, jobs };
            output.print(&work, |look| render(&work, all, look))
        }
        Command::Pause { name } => {
            let worker = client.call(&PauseWorker { worker: name }).await?;
            output.print(&worker, |_| paused(&worker))
        }
        Command::Resume { name } => {
            let worker = client.call(&ResumeWorker { worker: name }).await?;
            output.print(&worker, |look| resumed(&worker, look.now))
        }
    }
}

/// Renders the workers, the errors of failing ones, and the running jobs. On a terminal the idle workers are left out unless `all`
/// are asked for: there are more than fit on a screen.
pub fn render(work: &Work, all: bool, look: &Look) -> String {
    let jobs = match work.jobs.as_slice() {
        [] => "No long job is running.\n".to_owned(),
        jobs => job::short_table(jobs, look),
    };
    let errors: String = work.workers.iter().map(|worker| error(worker, look)).collect();
    let is_shown = |worker: &&WorkerInfo| all || look.width.is_none() || has_news(worker);
    let shown: Vec<&WorkerInfo> = work.workers.iter().filter(is_shown).collect();
    let idle = match (work.workers.len() - shown.len()) as u64 {
        0 => String::new(),
        number => {
            note(&format!("{} not shown: `cachectl worker list --all`", counted(number, "idle worker")), look)
        }
    };
    format!("{}{errors}{idle}\n{jobs}", table(&shown, look))
}

/// Whether a worker does more than wait for something to do.
fn has_news(worker: &WorkerInfo) -> bool {
    worker.state != WorkerState::Idle || worker.progress.is_some() || worker.errors_in_a_row > 0
}

fn table(workers: &[&WorkerInfo], look: &Look) -> String {
    let mut table = Table::new([
        Column::text("WORKER"),
        Column::text("STATE"),
        Column::text("LAST RUN"),
        Column::text("NEXT RUN"),
        Column::prose("DOES"),
    ])
    .with_short_rows();
    for worker in workers {
        let time = |time: Option<i64>| time.map(|time| relative(look.now, time)).unwrap_or_default();
        let does = match &worker.progress {
            // First, as what does not fit is cut off.
            Some(progress) => format!("{progress}: {}", worker.does),
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

/// Renders the last error of a worker whose last run failed.
fn error(worker: &WorkerInfo, look: &Look) -> String {
    match &worker.last_error {
        Some(error) if worker.errors_in_a_row > 0 => {
            let runs = counted(worker.errors_in_a_row, "failed run");
            note(&format!("{}: {runs} in a row; last error: {}", plain(&worker.name), plain(error)), look)
        }
        _ => String::new(),
    }
}

fn paused(worker: &WorkerInfo) -> String {
    let name = plain(&worker.name);
    match worker.state {
        WorkerState::Working => format!("{name} finishes its current run and then pauses.\n"),
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
