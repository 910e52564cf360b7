//! Workspaces, agents, deployments and their logs.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::support::{Backend, Fixture, declared_cache, path_hash, store_path};
use crate::{
    AgentId, AgentRecord, CacheId, Catalog, DeclaredAgent, DeclaredWorkspace, Deleted, Deletion,
    DeploymentId, DeploymentRecord, DeploymentStatus, GcPath, Held, LogAppend, LogLine, NewDeployment,
    TombstoneBatch, UnixTime,
};

fn workspace(name: &str, cache: CacheId) -> DeclaredWorkspace {
    DeclaredWorkspace { name: name.to_owned(), cache }
}

fn agent(name: &str, workspace: &str) -> DeclaredAgent {
    DeclaredAgent { name: name.to_owned(), workspace: workspace.to_owned() }
}

/// Declares agents of one workspace.
pub(super) async fn declare(catalog: &Catalog, cache: CacheId, names: &[&str]) -> Vec<AgentRecord> {
    let agents: Vec<_> = names.iter().map(|name| agent(name, "w")).collect();
    catalog.reconcile_fleet(&[workspace("w", cache)], &agents).await.unwrap().agents
}

pub(super) fn new(number: u128, agent: AgentId) -> NewDeployment {
    NewDeployment {
        id: DeploymentId(Uuid::from_u128(number)),
        agent,
        store_path: store_path(u32::try_from(number).unwrap()),
        rollback_scripts: BTreeMap::new(),
    }
}

/// A change of the status.
pub(super) fn becoming(
    status: DeploymentStatus,
) -> impl Fn(&DeploymentRecord) -> Option<DeploymentRecord> + Send + Sync + 'static {
    move |record| Some(DeploymentRecord { status, finished_at: Some(UnixTime(500)), ..record.clone() })
}

async fn agents(fixture: &Fixture, names: &[&str]) -> Vec<AgentId> {
    declare(&fixture.catalog, fixture.cache, names).await.into_iter().map(|agent| agent.id).collect()
}

pub(super) async fn an_agent_keeps_its_id_whatever_the_configuration_says(backend: Backend) {
    let catalog = backend.open().await;
    let caches = catalog.reconcile_caches(&[declared_cache("a"), declared_cache("b")]).await.unwrap();
    let (a, b) = (caches[0].id, caches[1].id);
    let workspaces = [workspace("one", a), workspace("two", b)];
    let first =
        catalog.reconcile_fleet(&workspaces, &[agent("web", "one"), agent("db", "one")]).await.unwrap();
    assert_eq!(first.agents.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(), ["db", "web"]);
    assert!(first.agents.iter().all(|agent| agent.enabled && agent.workspace == first.workspaces[0].id));

    let without = catalog.reconcile_fleet(&workspaces, &[agent("db", "one")]).await.unwrap();
    assert_eq!(without.agents[1], AgentRecord { enabled: false, ..first.agents[1].clone() });

    let moved = [workspace("one", b), workspace("two", b)];
    let moved = catalog.reconcile_fleet(&moved, &[agent("web", "two")]).await.unwrap();
    assert_eq!(moved.workspaces[0].cache, b);
    assert_eq!((moved.agents[1].id, moved.agents[1].enabled), (first.agents[1].id, true));
    assert_eq!(moved.agents[1].workspace, moved.workspaces[1].id);
    assert_eq!(catalog.fleet().await.unwrap(), moved);
}

pub(super) async fn a_vanished_workspace_takes_its_agents_along(backend: Backend) {
    let fixture = backend.fixture().await;
    let id = agents(&fixture, &["web"]).await[0];
    let fleet = fixture.catalog.reconcile_fleet(&[], &[agent("web", "w")]).await.unwrap();
    assert!(!fleet.workspaces[0].enabled && !fleet.agents[0].enabled);
    assert_eq!(agents(&fixture, &["web"]).await, [id]);
}

pub(super) async fn what_an_agent_says_of_itself_is_kept(backend: Backend) {
    let fixture = backend.fixture().await;
    let id = agents(&fixture, &["web", "db"]).await[1];
    let catalog = &fixture.catalog;
    catalog.agent_connected(id, "1.11".to_owned(), "x86_64-linux".to_owned(), UnixTime(7)).await.unwrap();
    let records = declare(catalog, fixture.cache, &["web", "db"]).await;
    assert_eq!(records[0].last_seen_at, None);
    assert_eq!(records[1].version.as_deref(), Some("1.11"));
    assert_eq!(records[1].system.as_deref(), Some("x86_64-linux"));
    assert_eq!(records[1].last_seen_at, Some(UnixTime(7)));
    // The end of a connection is recorded apart from it, and maybe after the next one has begun.
    for (at, expected) in [(9, 9), (8, 9)] {
        catalog.agent_disconnected(id, UnixTime(at)).await.unwrap();
        let records = declare(catalog, fixture.cache, &["web", "db"]).await;
        assert_eq!(records[1].last_seen_at, Some(UnixTime(expected)));
    }
}

pub(super) async fn deployments_are_numbered_per_agent(backend: Backend) {
    let fixture = backend.fixture().await;
    let [a, b] = agents(&fixture, &["a", "b"]).await[..] else { panic!("two agents") };
    let scripts = BTreeMap::from([("x86_64-linux".to_owned(), "/nix/store/script \"1\"".to_owned())]);
    let with_script = NewDeployment { rollback_scripts: scripts.clone(), ..new(2, b) };
    let done = fixture.catalog.add_deployments(vec![new(1, a), with_script]).await.unwrap();
    assert_eq!(done.added.iter().map(|added| added.number).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(done.added[1].rollback_scripts, scripts);
    let third = fixture.catalog.add_deployments(vec![new(3, b)]).await.unwrap().added;
    assert_eq!((third[0].number, third[0].status), (2, DeploymentStatus::Pending));
    assert_eq!(fixture.catalog.find_deployment_of(b, 2).await.unwrap().as_ref(), Some(&third[0]));
    assert_eq!(fixture.catalog.find_deployment_of(b, 3).await.unwrap(), None);
    assert_eq!(third[0].store_path, store_path(3).to_full_path());
    for added in done.added.iter().take(1).chain(&third) {
        assert_eq!(fixture.catalog.find_deployment(added.id).await.unwrap().as_ref(), Some(added));
    }
    assert_eq!(fixture.catalog.find_deployment(new(9, a).id).await.unwrap(), None);
    let listed = fixture.catalog.list_deployments(Some(b), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.number).collect::<Vec<_>>(), [2, 1]);
}

pub(super) async fn a_pending_deployment_gives_way_to_a_newer_one(backend: Backend) {
    let fixture = backend.fixture().await;
    let [a, b] = agents(&fixture, &["a", "b"]).await[..] else { panic!("two agents") };
    let catalog = &fixture.catalog;
    catalog.add_deployments(vec![new(1, a), new(2, b)]).await.unwrap();
    catalog.change_deployment(new(2, b).id, becoming(DeploymentStatus::InProgress)).await.unwrap();
    let done = catalog.add_deployments(vec![new(3, a), new(4, b)]).await.unwrap();
    // One that has begun is not called off.
    let superseded: Vec<_> = done.superseded.iter().map(|one| (one.id, one.status)).collect();
    assert_eq!(superseded, [(new(1, a).id, DeploymentStatus::Cancelled)]);
    let found = catalog.find_deployment(new(1, a).id).await.unwrap().unwrap();
    assert_eq!(found, done.superseded[0]);
    assert!(found.finished_at.is_some());
    assert_eq!(catalog.open_deployment(b).await.unwrap().unwrap().id, new(2, b).id);
}

pub(super) async fn a_set_of_deployments_is_added_whole_or_not_at_all(backend: Backend) {
    let fixture = backend.fixture().await;
    let [a, b] = agents(&fixture, &["a", "b"]).await[..] else { panic!("two agents") };
    fixture.catalog.add_deployments(vec![new(1, a)]).await.unwrap();
    // An id that is taken.
    fixture.catalog.add_deployments(vec![new(2, b), new(1, a)]).await.unwrap_err();
    assert_eq!(fixture.catalog.open_deployment(b).await.unwrap(), None);
    let first = fixture.catalog.open_deployment(a).await.unwrap().unwrap();
    assert_eq!((first.number, first.status), (1, DeploymentStatus::Pending));
    let stranger = AgentId(Uuid::from_u128(77));
    fixture.catalog.add_deployments(vec![new(3, stranger)]).await.unwrap_err();
}

pub(super) async fn a_deployment_becomes_what_the_change_makes_of_it(backend: Backend) {
    let fixture = backend.fixture().await;
    let a = agents(&fixture, &["a"]).await[0];
    let catalog = &fixture.catalog;
    let before = catalog.add_deployments(vec![new(1, a)]).await.unwrap().added.remove(0);
    let unchanged = catalog.change_deployment(before.id, |_| None).await.unwrap();
    assert_eq!(unchanged, Some((before.clone(), false)));
    let same = catalog.change_deployment(before.id, |record| Some(record.clone())).await.unwrap();
    assert_eq!(same, Some((before.clone(), false)));
    let wanted = DeploymentRecord {
        status: DeploymentStatus::InProgress,
        closure_size: Some(1 << 40),
        delivered_at: Some(UnixTime(1)),
        started_at: Some(UnixTime(2)),
        begun_at: Some(UnixTime(3)),
        ..before.clone()
    };
    let changed = {
        let wanted = wanted.clone();
        catalog.change_deployment(before.id, move |_| Some(wanted.clone())).await.unwrap()
    };
    assert_eq!(changed, Some((wanted.clone(), true)));
    assert_eq!(catalog.find_deployment(before.id).await.unwrap(), Some(wanted));
    assert_eq!(catalog.change_deployment(new(9, a).id, |_| None).await.unwrap(), None);
}

pub(super) async fn the_oldest_open_deployment_comes_first(backend: Backend) {
    let fixture = backend.fixture().await;
    let a = agents(&fixture, &["a"]).await[0];
    let catalog = &fixture.catalog;
    assert_eq!(catalog.open_deployment(a).await.unwrap(), None);
    catalog.add_deployments(vec![new(1, a)]).await.unwrap();
    catalog.change_deployment(new(1, a).id, becoming(DeploymentStatus::InProgress)).await.unwrap();
    catalog.add_deployments(vec![new(2, a)]).await.unwrap();
    assert_eq!(catalog.open_deployment(a).await.unwrap().unwrap().number, 1);
    assert_eq!(catalog.open_deployments().await.unwrap().len(), 2);
    catalog.change_deployment(new(1, a).id, becoming(DeploymentStatus::Succeeded)).await.unwrap();
    assert_eq!(catalog.open_deployment(a).await.unwrap().unwrap().number, 2);
    let good = catalog.list_deployments(Some(a), Some(DeploymentStatus::Succeeded), 10).await.unwrap();
    assert_eq!(good.iter().map(|one| one.number).collect::<Vec<_>>(), [1]);
    assert_eq!(catalog.list_deployments(None, None, 1).await.unwrap().len(), 1);
}

fn line(text: &str) -> LogLine {
    LogLine { time: "now".to_owned(), line: text.to_owned(), is_last: text.starts_with("last") }
}

async fn append(catalog: &Catalog, deployment: DeploymentId, lines: Vec<LogLine>, limit: u64) -> bool {
    let notice = LogLine { time: String::new(), line: "full".to_owned(), is_last: false };
    catalog.append_log(LogAppend { deployment, lines, limit, notice }).await.unwrap()
}

async fn texts(catalog: &Catalog, deployment: DeploymentId) -> Vec<String> {
    let lines = catalog.read_log(deployment, 0, 10_000).await.unwrap();
    assert!(lines.iter().map(|line| line.number).eq(1..=lines.len() as u64));
    lines.into_iter().map(|line| line.line).collect()
}

pub(super) async fn a_log_is_read_in_pages_in_the_order_it_was_written(backend: Backend) {
    let fixture = backend.fixture().await;
    let a = agents(&fixture, &["a"]).await[0];
    let catalog = &fixture.catalog;
    let id = catalog.add_deployments(vec![new(1, a), new(2, a)]).await.unwrap().added[1].id;
    let all: Vec<_> = (0..2500).map(|number| number.to_string()).collect();
    let lines = |range: std::ops::Range<usize>| all[range].iter().map(|text| line(text)).collect();
    assert!(append(catalog, id, lines(0..2100), 1 << 20).await);
    assert!(append(catalog, id, lines(2100..2500), 1 << 20).await);
    assert_eq!(texts(catalog, id).await, all);
    let page = catalog.read_log(id, 10, 3).await.unwrap();
    assert_eq!(page.iter().map(|line| line.line.as_str()).collect::<Vec<_>>(), ["10", "11", "12"]);
    assert_eq!(page[0].time, "now");
    assert_eq!(catalog.find_deployment(id).await.unwrap().unwrap().log_lines, 2500);
    assert!(texts(catalog, new(1, a).id).await.is_empty());
    assert!(!append(catalog, new(9, a).id, lines(0..1), 1 << 20).await);
}

pub(super) async fn a_full_log_says_so_once_and_takes_the_last_line(backend: Backend) {
    let fixture = backend.fixture().await;
    let a = agents(&fixture, &["a"]).await[0];
    let catalog = &fixture.catalog;
    let id = catalog.add_deployments(vec![new(1, a)]).await.unwrap().added[0].id;
    // Eight bytes each, with the time.
    let lines = ["12345", "23456", "34567", "4"].map(line).to_vec();
    append(catalog, id, lines, 20).await;
    append(catalog, id, ["5", "last words"].map(line).to_vec(), 20).await;
    assert_eq!(texts(catalog, id).await, ["12345", "23456", "full", "last words"]);
    assert!(catalog.find_deployment(id).await.unwrap().unwrap().log_truncated);
    let endless = vec![line(&format!("last{}", "!".repeat(1000))); 100];
    append(catalog, id, endless, 20).await;
    assert!(texts(catalog, id).await.len() < 80);
}

pub(super) async fn old_logs_are_forgotten(backend: Backend) {
    let fixture = backend.fixture().await;
    let [a, b] = agents(&fixture, &["a", "b"]).await[..] else { panic!("two agents") };
    let catalog = &fixture.catalog;
    let added = catalog.add_deployments(vec![new(1, a), new(2, b)]).await.unwrap().added;
    for id in [new(1, a).id, new(2, b).id] {
        append(catalog, id, vec![line("text")], 100).await;
    }
    let begun = added[0].created_at.0 + 1000;
    let begin = move |record: &DeploymentRecord| {
        Some(DeploymentRecord { begun_at: Some(UnixTime(begun)), ..record.clone() })
    };
    catalog.change_deployment(new(1, a).id, begin).await.unwrap();
    assert_eq!(catalog.forget_logs(UnixTime(begun + 1)).await.unwrap(), 0, "it has not ended");
    // It says that it ended in 1970.
    catalog.change_deployment(new(1, a).id, becoming(DeploymentStatus::Failed)).await.unwrap();
    assert_eq!(catalog.forget_logs(UnixTime(begun)).await.unwrap(), 0);
    assert_eq!(catalog.forget_logs(UnixTime(begun + 1)).await.unwrap(), 1);
    assert_eq!(catalog.forget_logs(UnixTime(begun + 1)).await.unwrap(), 0);
    assert!(texts(catalog, new(1, a).id).await.is_empty());
    assert!(catalog.find_deployment(new(1, a).id).await.unwrap().unwrap().log_truncated);
    assert_eq!(texts(catalog, new(2, b).id).await, ["text"]);
}

/// Has an agent try a path, and says how it went.
async fn run(fixture: &Fixture, id: u128, agent: AgentId, path: u32, status: DeploymentStatus) {
    let new = NewDeployment { store_path: store_path(path), ..new(id, agent) };
    fixture.catalog.add_deployments(vec![new.clone()]).await.unwrap();
    let begun = move |record: &DeploymentRecord| {
        let started_at = (status != DeploymentStatus::Cancelled).then_some(UnixTime(5));
        Some(DeploymentRecord { status, started_at, ..record.clone() })
    };
    fixture.catalog.change_deployment(new.id, begun).await.unwrap();
}

/// Which of the first paths garbage collection would take, if all are old.
async fn dead(fixture: &Fixture, paths: u32) -> Vec<u32> {
    let now = UnixTime(2_000_000_000);
    let census = fixture.catalog.census(fixture.cache, now).await.unwrap();
    let dead: Vec<u32> = (1..=paths).filter(|path| census.last_use(&path_hash(*path)).is_some()).collect();
    // What is looked at once more when they are tombstoned says the same.
    let everything: Vec<GcPath> = {
        let mut all = Vec::new();
        for path in 1..=paths {
            all.push(GcPath { id: fixture.path(path).await.id, hash: path_hash(path) });
        }
        all
    };
    let batch =
        TombstoneBatch { cache: fixture.cache, paths: everything, unused_since: now, now, trash: false };
    let mut tombstoned = fixture.catalog.tombstone_paths(batch).await.unwrap().tombstoned;
    tombstoned.sort();
    assert_eq!(tombstoned, dead.iter().map(|path| path_hash(*path)).collect::<Vec<_>>());
    dead
}

pub(super) async fn what_an_agent_runs_or_ran_before_is_not_collected(backend: Backend) {
    let fixture = backend.fixture().await;
    let [a, b] = agents(&fixture, &["a", "b"]).await[..] else { panic!("two agents") };
    for path in 1..=9 {
        fixture.create(path, path).await;
    }
    use DeploymentStatus::{Cancelled, Failed, Pending, Succeeded};
    // Long ago, before, now, now again, tried, called off, and what comes next.
    let tried = [(1, Succeeded), (2, Succeeded), (3, Succeeded), (3, Succeeded), (4, Failed), (5, Cancelled)];
    for (id, (path, status)) in (1..).zip(tried) {
        run(&fixture, id, a, path, status).await;
    }
    let scripts = BTreeMap::from([("any".to_owned(), format!("{}/bin/check", store_path(7).to_full_path()))]);
    let next = NewDeployment { store_path: store_path(6), rollback_scripts: scripts, ..new(20, a) };
    fixture.catalog.add_deployments(vec![next]).await.unwrap();
    run(&fixture, 30, b, 8, Pending).await;
    let census = fixture.catalog.census(fixture.cache, UnixTime(0)).await.unwrap();
    assert_eq!(census.fate(&path_hash(2)).unwrap().held, Held::Agent("a".to_owned()));
    assert_eq!(census.fate(&path_hash(8)).unwrap().held, Held::Agent("b".to_owned()));
    // Whatever the configuration says.
    fixture.catalog.reconcile_fleet(&[], &[]).await.unwrap();
    let deletion = Deletion {
        cache: fixture.cache,
        path: path_hash(2),
        recursive: false,
        now: UnixTime(0),
        trash: false,
    };
    let deleted = fixture.catalog.delete_path(deletion).await.unwrap();
    assert_eq!(deleted, Deleted::Deployed { path: store_path(2), agent: "a".to_owned() });
    assert_eq!(dead(&fixture, 9).await, [1, 5, 9]);
}
