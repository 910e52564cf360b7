//! `GET /server/work`: jobs with their progress, and background workers.

use admin_api::{JobInfo, JobState, ListJobs, ListWorkers, Unit, WorkerInfo, WorkerState};
use catalog::UnixTime;
use maud::{Markup, html};

use super::{failed, top};
use crate::http::router::{Operate, Request};
use crate::http::web::layout::{Page, Part};
use crate::http::web::parts::{ago, badge, lasting};
use crate::http::web::text::{number, size, visible};
use crate::http::{Answer, admin};

/// Jobs and workers that are shown. There are no more workers than that, and of jobs the newest are what one looks for.
const SHOWN: usize = 60;
/// Seconds until the page looks again.
const LOOK: u32 = 2;

/// `GET /server/work`.
pub async fn get(request: Request<Operate>) -> Answer {
    let Request { state, grant: visit, .. } = request;
    let jobs = admin::list_jobs(&state, ListJobs {}).await.map_err(failed)?;
    let workers = admin::list_workers(&state, ListWorkers {}).await.map_err(failed)?;
    let body = html! {
        (top(&visit, "/work"))
        div #work data-live=(LOOK) {
            h2 { "Jobs" }
            p.soft { "What an operator has started, and what the server starts by itself now and then." }
            @if jobs.is_empty() { p { "None has run yet." } } @else { (jobs_of(&jobs)) }
            h2 { "Workers" }
            p.soft { "What is done in the background again and again." }
            (workers_of(&workers))
        }
    };
    Ok(visit.reply(Page::new("Jobs", body).of(Part::Server).reloaded(Some(10))))
}

fn jobs_of(jobs: &[JobInfo]) -> Markup {
    html! {
        table {
            thead { tr { th { "Job" } th { "State" } th { "Progress" } th.number.wide { "Started" } } }
            tbody {
                @for job in jobs.iter().take(SHOWN) {
                    tr {
                        td { (kind(job)) " " span.soft { (visible(&job.subject)) } }
                        td {
                            @match job.state {
                                JobState::Running => (badge("warn", "running")),
                                JobState::Done => (badge("good", "done")),
                                JobState::Failed => (badge("bad", "failed")),
                                JobState::Stopped => (badge("", "stopped")),
                            }
                            @if let Some(error) = &job.last_error { div.soft { (visible(error).chars().take(300).collect::<String>()) } }
                        }
                        td { (progress(job)) }
                        td.number.wide {
                            (ago(UnixTime(job.started_at)))
                            @if let Some(end) = job.finished_at { span.soft { ", took " (lasting(UnixTime(job.started_at), UnixTime(end))) } }
                        }
                    }
                }
            }
        }
    }
}

/// The kind of a job, in the words of `cachectl`.
fn kind(job: &JobInfo) -> String {
    let name = serde_json::to_value(job.kind).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or("job").replace('-', " ")
}

fn progress(job: &JobInfo) -> Markup {
    let amount = |value: u64| match job.unit {
        Unit::Bytes => size(value),
        Unit::Files => format!("{} files", number(value)),
        Unit::Paths => format!("{} paths", number(value)),
        Unit::Unknown => number(value),
    };
    html! {
        @if let Some(total) = job.total.filter(|total| *total > 0 && job.state == JobState::Running) {
            progress max=(total) value=(job.done.min(total)) aria-label="progress" {} " "
            (amount(job.done)) " of " (amount(total))
        } @else {
            (amount(job.done))
        }
    }
}

fn workers_of(workers: &[WorkerInfo]) -> Markup {
    html! {
        table {
            thead { tr { th { "Worker" } th { "State" } th.wide { "Last run" } th.wide { "Next run" } } }
            tbody {
                @for worker in workers.iter().take(SHOWN) {
                    tr {
                        td { (worker.name) div.soft { (worker.does) } }
                        td {
                            @match worker.state {
                                WorkerState::Idle => (badge("", "idle")),
                                WorkerState::Waiting => (badge("", "waiting")),
                                WorkerState::Working => (badge("good", "working")),
                                WorkerState::Paused => (badge("warn", "paused")),
                                WorkerState::Failing => (badge("bad", "failing")),
                                _ => "",
                            }
                            @if let Some(progress) = &worker.progress { div.soft { (visible(progress)) } }
                            @if let Some(error) = worker.last_error.as_ref().filter(|_| worker.errors_in_a_row > 0) {
                                div.soft { (visible(error).chars().take(300).collect::<String>()) }
                            }
                        }
                        td.wide { @if let Some(at) = worker.last_run { (ago(UnixTime(at))) } }
                        td.wide { @if let Some(at) = worker.next_run { (ago(UnixTime(at))) } }
                    }
                }
            }
        }
    }
}
