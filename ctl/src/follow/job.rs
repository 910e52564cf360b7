//! A long job, followed to its end or until the user has seen enough.

use std::future::pending;
use std::io;

use admin_api::{ApiError, JobEvent, JobInfo, JobKind, JobRequest, JobSummary, StopCause};

use super::Figures;
use super::outcome::{judge, render};
use super::view::View;
use crate::client::{Client, Event};
use crate::error::{Error, JobError};
use crate::output::{Output, plain, write_stdout};

/// Starts or joins the job that `request` asks for, and follows it.
pub async fn follow_job(request: &JobRequest, client: &Client, output: &Output) -> Result<(), Error> {
    let mut view = View::of_stderr(output);
    let mut running = None;
    let ending = tokio::select! {
        // In this order, because Ctrl-C must not kill the process once the daemon has the request.
        biased;
        () = interrupt() => Err(detached(running.take())),
        ending = watch(request, client, output, &mut view, &mut running) => ending,
    };
    view.close();
    conclude(ending?, output)
}

/// As [`follow_job`], but returns the result instead of showing it.
pub async fn finish_job(request: &JobRequest, client: &Client, output: &Output) -> Result<JobSummary, Error> {
    let mut view = View::of_stderr(output);
    let mut running = None;
    let ending = watch(request, client, output, &mut view, &mut running).await;
    view.close();
    let Ending { job, how } = ending?;
    match how {
        HowEnded::Done(summary) => Ok(summary),
        HowEnded::Failed(error) => Err(JobError::Failed { job, error }.into()),
        HowEnded::Stopped(cause) => Err(JobError::Stopped { job, cause }.into()),
    }
}

/// The name of a job in a sentence: `scrub of main/hdd`.
pub fn name(job: &JobInfo) -> String {
    let kind = kind(job);
    let link = match job.kind {
        // The subject is the file that it writes.
        JobKind::Backup => "to",
        // The subject is the source and the cache.
        JobKind::Import => "from",
        _ => "of",
    };
    if job.subject.is_empty() { kind.to_owned() } else { format!("{kind} {link} {}", job.subject) }
}

/// The kind of a job in one word.
pub fn kind(job: &JobInfo) -> &'static str {
    match job.kind {
        JobKind::Drain => "drain",
        JobKind::Rebalance => "rebalance",
        JobKind::Scrub => "scrub",
        JobKind::Fsck => "fsck",
        JobKind::Gc => "gc",
        JobKind::DeleteCache => "deletion",
        JobKind::Backup => "backup",
        JobKind::Import => "import",
        JobKind::Export => "export",
        JobKind::Unknown => "job",
    }
}

/// How a job ended.
struct Ending {
    /// The name of the job.
    job: String,
    how: HowEnded,
}

enum HowEnded {
    Done(JobSummary),
    Failed(ApiError),
    Stopped(StopCause),
}

/// Shows the job until it ends. `running` gets the job as soon as the daemon reports that it is running.
async fn watch(
    request: &JobRequest,
    client: &Client,
    output: &Output,
    view: &mut View,
    running: &mut Option<JobInfo>,
) -> Result<Ending, Error> {
    let mut events = client.stream(request).await?;
    loop {
        let Event { event, line } = match events.next().await {
            Ok(event) => event,
            Err(source) => return Err(lost(running.as_ref(), source)),
        };
        if output.json {
            match write_stdout(&format!("{line}\n")) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(detached(running.take()));
                }
                result => result.map_err(Error::Output)?,
            }
        }
        let how = match event {
            JobEvent::Started { job, joined } => {
                view.started(&job, joined);
                *running = Some(job);
                continue;
            }
            JobEvent::Progress { done, total, unit, message } => {
                let message = message.as_deref().map(plain);
                view.progress(Figures { done, total, unit }, message.as_deref());
                continue;
            }
            JobEvent::Note { level, text } => {
                view.note(level, &text);
                continue;
            }
            JobEvent::Unknown => continue,
            JobEvent::Done { summary } => HowEnded::Done(summary),
            JobEvent::Failed { error } => HowEnded::Failed(error),
            JobEvent::Stopped { cause, .. } => HowEnded::Stopped(cause),
        };
        return Ok(Ending { job: name_or_job(running.as_ref()), how });
    }
}

/// Shows the result of the job, and decides whether it is a success.
fn conclude(Ending { job, how }: Ending, output: &Output) -> Result<(), Error> {
    match how {
        HowEnded::Done(summary) => {
            // As JSON it was printed when it arrived.
            if !output.json {
                output.print(&summary, |look| render(&summary, look))?;
            }
            Ok(judge(job, &summary)?)
        }
        HowEnded::Failed(error) => Err(JobError::Failed { job, error }.into()),
        HowEnded::Stopped(cause) => Err(JobError::Stopped { job, cause }.into()),
    }
}

fn name_or_job(job: Option<&JobInfo>) -> String {
    job.map_or_else(|| "job".to_owned(), name)
}

fn lost(running: Option<&JobInfo>, source: Error) -> Error {
    JobError::Lost { job: name_or_job(running), source: Box::new(source) }.into()
}

fn detached(running: Option<JobInfo>) -> Error {
    match running {
        Some(job) => JobError::Detached { job: name(&job), id: job.id }.into(),
        None => JobError::LeftEarly.into(),
    }
}

/// Waits for Ctrl-C.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Then Ctrl-C kills the process as usual.
        pending().await
    }
}
