//! Looks for what keeps the daemon, or those who use it, from working as they should.

mod agents;
mod belonging;
mod certificates;
mod closures;
mod upstreams;

use std::path::Path;
use std::time::Duration;

use admin_api::units::rounded_size;
use admin_api::{Finding, FindingLevel};
use catalog::UnixTime;
use futures_util::future::join_all;
use nar_storage::Health;
use tokio::time::timeout;

use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::clock::span;
use crate::config::{self, Environment, Fault, Severity};
use crate::core::Core;
use crate::listeners::Listeners;
use crate::origin::{Origin, netrc_machine, suits_cachix_use};
use crate::workers::{WorkerState, Workers};

/// How long a name may take to be resolved, or an address to be connected to.
const PATIENCE: Duration = Duration::from_secs(3);
/// A state directory with less room than this will soon be full.
const LITTLE_ROOM: u64 = 1 << 30;
/// Fewer open files than this are not enough for many clients at once.
const FEW_FILES: u64 = 4096;
/// A clock that is this many seconds behind what was recorded was set back.
const CLOCK_SLACK: i64 = 300;

/// What the doctor looks at.
pub struct Patient<'a> {
    /// Catalog, caches, configuration.
    pub core: &'a Core,
    /// The workers.
    pub workers: &'a Workers,
    /// The listeners.
    pub listeners: &'a Listeners,
    /// The URLs that clients are given.
    pub origin: &'a Origin,
}

/// Returns all findings, those included that say all is well.
pub async fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let Patient { core, workers, listeners, origin } = *patient;
    let mut findings =
        vec![state_dir(&core.config().server.state_dir), catalog(core), open_files(), clock(core).await];
    findings.push(belonging::server_key(core).await);
    findings.extend(configuration(core).await);
    findings.extend(addresses(listeners));
    findings.extend(core.tls.certificates().iter().map(certificates::examine));
    for cache in core.caches().iter() {
        for storage in cache.storages().iter() {
            findings.push(storage_finding(core, cache, storage).await);
        }
        findings.extend(copies_finding(core, cache).await);
    }
    findings.extend(core.caches().iter().filter_map(|cache| held_collection(core, cache)));
    findings.extend(names(core).await);
    findings.extend(core.caches().iter().filter_map(|cache| private_url(origin, cache)));
    findings.extend(agents::examine(core));
    findings.extend(dht(core));
    findings.extend(upstreams::examine(core));
    findings.extend(closures::examine(core).await);
    findings.extend(failing_workers(workers));
    findings
}

/// Whether other nodes can be found.
fn dht(core: &Core) -> Option<Finding> {
    let network = core.federation.network()?;
    Some(match network.dht_problem() {
        None => finding(FindingLevel::Ok, "DHT", "it listens"),
        Some(problem) => {
            let found = finding(FindingLevel::Error, "DHT", problem);
            advise(found, "other nodes are not found meanwhile; it is tried again, so free its UDP port")
        }
    })
}

fn finding(level: FindingLevel, subject: impl Into<String>, message: impl Into<String>) -> Finding {
    Finding { level, subject: subject.into(), message: message.into(), advice: None }
}

fn advise(finding: Finding, advice: impl Into<String>) -> Finding {
    Finding { advice: Some(advice.into()), ..finding }
}

fn state_dir(path: &Path) -> Finding {
    let subject = "state directory";
    match rustix::fs::statvfs(path) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            let text = format!("{} free in {}", rounded_size(free), path.display());
            if free < LITTLE_ROOM {
                let advice = "make room: without any, nothing can be recorded, nor spooled on its way to S3";
                return advise(finding(FindingLevel::Warn, subject, text), advice);
            }
            finding(FindingLevel::Ok, subject, text)
        }
        Err(error) => finding(FindingLevel::Error, subject, format!("{}: {error}", path.display())),
    }
}

/// Whether anything can be recorded.
fn catalog(core: &Core) -> Finding {
    let Some(failure) = core.catalog.write_failure() else {
        return finding(FindingLevel::Ok, "catalog", "it can be written");
    };
    let length = u64::try_from(UnixTime::now().0.saturating_sub(failure.since.0)).unwrap_or_default();
    let text = format!("it has not been writable for {}: {}", span(length), failure.reason);
    let advice = "paths are served, but pushes are refused; the daemon tries again every two seconds";
    advise(finding(FindingLevel::Error, "catalog", text), advice)
}

fn open_files() -> Finding {
    use rustix::process::{Resource, getrlimit};
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if allowed < FEW_FILES {
        let text = format!("only {allowed} files and connections may be open at once");
        return advise(finding(FindingLevel::Warn, "open files", text), "set LimitNOFILE=65536 in the unit");
    }
    finding(FindingLevel::Ok, "open files", format!("{} may be open at once", shown(allowed)))
}

fn shown(limit: u64) -> String {
    if limit == u64::MAX { "any number".to_owned() } else { limit.to_string() }
}

/// Whether every address of the configuration is listened on, and no other.
fn addresses(listeners: &Listeners) -> Vec<Finding> {
    let infos = listeners.infos();
    let mut findings = Vec::new();
    for info in &infos {
        let subject = match &info.cache {
            Some(cache) => format!("port of cache {cache}, {}", info.address),
            None => format!("address {}", info.address),
        };
        if let Some(error) = &info.error {
            let found = finding(FindingLevel::Error, subject, format!("cannot be listened on: {error}"));
            let advice = "stop the program that uses the port, or configure another one; the daemon tries again by itself. \
                If systemd opens the ports, restart the socket units";
            findings.push(advise(found, advice));
        } else if let Some(warning) = &info.warning {
            let advice =
                "change `server.hostname` or the socket unit, then restart the socket unit and the daemon";
            findings.push(advise(finding(FindingLevel::Warn, subject, warning), advice));
        }
    }
    if findings.is_empty() {
        let text = format!("all {} addresses are listened on", infos.len());
        findings.push(finding(FindingLevel::Ok, "addresses", text));
    }
    findings
}

/// Retention counts in time, and so do tokens.
async fn clock(core: &Core) -> Finding {
    if let Some(doubt) = core.clock.doubt() {
        return advise(finding(FindingLevel::Error, "clock", doubt.text()), doubt.advice());
    }
    let horizon = UnixTime(UnixTime::now().0.saturating_add(CLOCK_SLACK));
    let mut from_the_future = 0;
    for cache in core.caches().iter() {
        match core.catalog.path_totals(cache.id, Some(horizon), None).await {
            Ok(totals) => from_the_future += totals.paths,
            Err(error) => return finding(FindingLevel::Error, "catalog", error.to_string()),
        }
    }
    if from_the_future > 0 {
        let text = format!("{from_the_future} paths have a last use in the future: the clock was set back");
        let advice = "set the clock right: tokens and retention depend on it";
        return advise(finding(FindingLevel::Error, "clock", text), advice);
    }
    finding(FindingLevel::Ok, "clock", "no recorded time is in the future")
}

/// The file as it is now, which may not be what the daemon runs with.
async fn configuration(core: &Core) -> Vec<Finding> {
    let Some(path) = core.config().source.clone() else {
        return vec![finding(FindingLevel::Ok, "config", "none: the daemon runs on its built-in defaults")];
    };
    let shown = path.display().to_string();
    let loaded = tokio::task::spawn_blocking(move || config::load(&path, &Environment::of_process())).await;
    match loaded {
        Ok(Ok(loaded)) if loaded.warnings.is_empty() => {
            vec![finding(FindingLevel::Ok, "config", format!("{shown} has no faults"))]
        }
        Ok(Ok(loaded)) => loaded.warnings.iter().map(fault_finding).collect(),
        Ok(Err(faults)) => faults
            .0
            .iter()
            .map(|fault| {
                let found = fault_finding(fault);
                advise(found, "the daemon runs with what it read at its start, and would not start again")
            })
            .collect(),
        Err(error) => vec![finding(FindingLevel::Error, "config", error.to_string())],
    }
}

/// A fault of the file. Its severity is the level of the finding, so the text does not repeat it.
fn fault_finding(fault: &Fault) -> Finding {
    let text = Fault { severity: Severity::Error, ..fault.clone() }.to_string();
    finding(level(fault.severity), "config", text)
}

fn level(severity: Severity) -> FindingLevel {
    match severity {
        Severity::Error => FindingLevel::Error,
        Severity::Warning => FindingLevel::Warn,
    }
}

async fn storage_finding(core: &Core, cache: &Cache, storage: &CacheStorage) -> Finding {
    let subject = format!("storage {}/{}", cache.name(), storage.name());
    let condition = storage.condition();
    let error = condition.last_error.unwrap_or_default();
    match condition.health {
        Health::Failing => {
            let found = finding(FindingLevel::Error, subject, format!("it does not work: {error}"));
            return advise(found, "it is tried again every few seconds; pushes go to the others meanwhile");
        }
        Health::MediumFull => {
            let found = finding(FindingLevel::Warn, subject, "its medium is full");
            return advise(found, "make room, or add a storage");
        }
        Health::Working => {}
    }
    if let Some(found) = belonging::storage(core, cache, storage).await {
        return found;
    }
    match core.catalog.storage_stats(storage.id).await {
        Ok(stats) if stats.damaged_nars > 0 => {
            let text = format!("{} files are missing or damaged; their paths are hidden", stats.damaged_nars);
            let advice = "push the paths again; `cachectl fsck` takes files back that are there again";
            advise(finding(FindingLevel::Error, subject, text), advice)
        }
        Ok(_) if is_full(cache, storage) => {
            let found =
                finding(FindingLevel::Warn, subject, "it works, but is full: it has reached its `max-size`");
            advise(found, "raise `max-size`, add a storage, or make room with `cachectl gc --to-size SIZE`")
        }
        Ok(_) => finding(FindingLevel::Ok, subject, "it works"),
        Err(error) => finding(FindingLevel::Error, subject, error.to_string()),
    }
}

/// Copies that are missing.
async fn copies_finding(core: &Core, cache: &Cache) -> Option<Finding> {
    if !cache.has_copies() {
        return None;
    }
    let subject = format!("copies of cache {}", cache.name());
    let counts = match core.catalog.copy_counts(cache.id).await {
        Ok(counts) => counts,
        Err(error) => return Some(finding(FindingLevel::Error, subject, error.to_string())),
    };
    let wanted = cache.config().copies.max(1);
    if counts.missing == 0 {
        let text = format!("every NAR is on as many storages as it should be: {wanted}");
        return Some(finding(FindingLevel::Ok, subject, text));
    }
    let (missing, exposed) = (counts.missing, counts.exposed);
    let text =
        format!("{missing} copies are missing, {exposed} of them of NARs that have only one sound copy");
    let advice = match cache.copying.time_for(counts.missing_bytes) {
        Some(left) => {
            format!("they are being made, which takes about {} more seconds", left.as_secs().max(1))
        }
        None => format!(
            "they are made when {wanted} storages work and have room; see `cachectl storage list`, or lower `copies`"
        ),
    };
    Some(advise(finding(FindingLevel::Warn, subject, text), advice))
}

/// Whether a storage takes no more files because of a limit of the configuration, or hardly any.
fn is_full(cache: &Cache, storage: &CacheStorage) -> bool {
    let has_little_room = |limit: u64, used: u64| limit.saturating_sub(used) < limit / 100;
    cache.storages().snapshot().iter().any(|known| {
        let used = known.used.saturating_add(known.by_products);
        let is_at_limit = known.max_size.is_some_and(|limit| has_little_room(limit, used));
        &*known.name == storage.name() && (known.full || is_at_limit)
    })
}

/// A collection that would have removed too much without anybody asking.
fn held_collection(core: &Core, cache: &Cache) -> Option<Finding> {
    let held = (*cache.held_collection.read())?;
    let text = format!(
        "nothing was collected: it would have been {} of {} paths, more than the {} % of `server.gc-max-share`",
        held.paths,
        held.of,
        core.config().server.gc_max_share
    );
    let advice = format!(
        "see what it would be with `cachectl gc --cache {name} --dry-run`; if that is right, run `cachectl gc --cache {name}`",
        name = cache.name()
    );
    Some(advise(finding(FindingLevel::Warn, format!("collection of cache {}", cache.name()), text), advice))
}

/// Whether clients can find the daemon by the names it gives out.
async fn names(core: &Core) -> Vec<Finding> {
    let Some(url) = &core.config().server.public_url else {
        let text = "not set: clients get the address that they connect to";
        return vec![finding(FindingLevel::Ok, "public-url", text)];
    };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Vec::new() };
    let own = std::iter::once(host.to_owned());
    let caches = core.caches();
    let hosts = own.chain(caches.iter().map(|cache| format!("{}.{host}", cache.name())));
    join_all(hosts.map(|name| reachable(name, port))).await
}

/// A private cache that `cachix use` cannot set up.
fn private_url(origin: &Origin, cache: &Cache) -> Option<Finding> {
    let url = origin.cache_url(cache, None);
    if cache.is_public() || suits_cachix_use(&url) {
        return None;
    }
    let text =
        format!("private, and at {url}: Nix does not match the netrc line that `cachix use` writes for it");
    let advice = format!(
        "set `public-url` to a host name without a port, or let clients add `machine {} login token password TOKEN` to \
         the netrc-file of Nix",
        netrc_machine(&url)
    );
    Some(advise(finding(FindingLevel::Warn, format!("cache {}", cache.name()), text), advice))
}

async fn reachable(name: String, port: u16) -> Finding {
    let subject = format!("name {name}");
    let resolved = match timeout(PATIENCE, tokio::net::lookup_host((name.as_str(), port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if resolved.is_empty() {
        let found = finding(FindingLevel::Error, subject, "it has no address");
        return advise(
            found,
            "caches are reached as NAME.HOST: add a wildcard DNS entry for the public host",
        );
    }
    match timeout(PATIENCE, tokio::net::TcpStream::connect(&resolved[..])).await {
        Ok(Ok(_)) => finding(FindingLevel::Ok, subject, format!("port {port} answers")),
        Ok(Err(error)) => {
            finding(FindingLevel::Warn, subject, format!("port {port} does not answer: {error}"))
        }
        Err(_) => finding(FindingLevel::Warn, subject, format!("port {port} does not answer in time")),
    }
}

fn failing_workers(workers: &Workers) -> Vec<Finding> {
    let failing = workers.list().into_iter().filter(|worker| worker.state() == WorkerState::Failing);
    let failing: Vec<_> = failing
        .map(|worker| {
            let error = worker.last_error().unwrap_or_default();
            let text = format!("{} rounds in a row have failed: {error}", worker.errors_in_a_row());
            finding(FindingLevel::Warn, format!("worker {}", worker.name), text)
        })
        .collect();
    if failing.is_empty() {
        return vec![finding(FindingLevel::Ok, "workers", "none of them fails")];
    }
    failing
}
