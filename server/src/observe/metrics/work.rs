//! The writer of the catalog, workers, jobs and deployments.

use super::all;
use super::samples::Samples;
use crate::core::Core;
use crate::counters::{
    COPIED_BYTES, COPIES_FAILED, COPIES_MADE, DEMOTED, DEPLOYMENTS_ENDED, JOB_KINDS, JOBS, PROMOTED,
};
use crate::workers::Workers;

pub(super) fn collect(core: &Core, workers: &Workers, samples: &mut Samples) {
    catalog(core, samples);
    for worker in workers.list() {
        let (name, rounds) = ([worker.name.as_str()], worker.rounds());
        samples.number(&all::WORKER_RUN, &name, worker.last_run().map_or(0.0, |time| time.0 as f64));
        samples.number(&all::WORKER_TIME, &name, rounds.last_duration.as_secs_f64());
        samples.count(&all::WORKER_RUNS, &name, rounds.ended);
        samples.count(&all::WORKER_FAILURES, &name, rounds.failed);
        samples.whole(&all::WORKER_ROW, &name, worker.errors_in_a_row());
    }
    for (kind, job) in JOB_KINDS.iter().zip(&JOBS) {
        samples.number(&all::JOBS_RUNNING, &[kind], job.running.get() as f64);
        job.ends.read().for_each(|(outcome, count)| samples.count(&all::JOB_RUNS, &[kind, outcome], count));
        samples.number(&all::JOB_SUCCESS, &[kind], job.last_success.get() as f64);
        samples.number(&all::JOB_TIME, &[kind], job.last_duration.get() as f64);
    }
    let pause = core.config().server.gc_interval.map_or(0, |pause| pause.as_secs());
    samples.whole(&all::GC_INTERVAL, &[], pause);
    samples.count(&all::COPIES_MADE, &[], COPIES_MADE.get());
    samples.count(&all::COPIED_BYTES, &[], COPIED_BYTES.get());
    samples.count(&all::PROMOTED, &[], PROMOTED.get());
    samples.count(&all::DEMOTED, &[], DEMOTED.get());
    samples.count(&all::COPIES_FAILED, &[], COPIES_FAILED.get());
    samples.truth(&all::CLOCK, &[], core.clock.doubt().is_none());
    agents(core, samples);
}

fn catalog(core: &Core, samples: &mut Samples) {
    let (stats, meters) = (core.catalog.writer_stats(), core.catalog.writer_meters());
    samples.truth(&all::WRITABLE, &[], core.catalog.is_writable());
    samples.count(&all::COMMITS, &[], stats.commits);
    samples.count(&all::WRITES, &[], stats.commands);
    samples.count(&all::WRITE_FAILURES, &[], meters.failures.get());
    samples.whole(&all::QUEUE, &[], core.catalog.writes_waiting() as u64);
    samples.histogram(&all::COMMIT_TIME, &[], &meters.durations);
    samples.histogram(&all::GROUP, &[], &meters.groups);
}

fn agents(core: &Core, samples: &mut Samples) {
    let fleet = core.deploy.fleet();
    let (mut declared, mut online) = (0, 0);
    for agent in fleet.agents() {
        let is_online = core.deploy.online().find(agent.id).is_some();
        declared += 1;
        online += u64::from(is_online);
        samples.truth(&all::AGENT, &[&agent.name], is_online);
    }
    DEPLOYMENTS_ENDED.read().for_each(|(status, count)| {
        samples.count(&all::DEPLOYMENTS_ENDED, &[status], count);
    });
    samples.whole(&all::AGENTS, &[], declared);
    samples.whole(&all::ONLINE, &[], online);
}
