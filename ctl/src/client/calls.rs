//! Each endpoint of the admin API.

use admin_api::{
    Activate, AddKey, AgentInfo, ApiError, CacheInfo, CacheSummary, CreatePin, CreateToken, CreatedToken,
    DeletePath, DeletedPaths, DeploymentInfo, DhtInfo, DhtRecord, ErrorCode, Finding, FollowLog, JobInfo,
    JobRequest, KeyInfo, ListDeployments, ListPaths, ListPins, PathInfo, PathList, PathWhy, PeerInfo,
    PinInfo, Ping, ReadRecord, Reloaded, RemovePin, RemovedPins, RetireKey, RetiredKey, Rollback, Status,
    TokenInfo, Usage, UsageQuery, WorkerInfo, WorkspaceInfo, WriteNote, routes,
};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Client, Events, json};
use crate::error::Error;

impl Client {
    /// `GET /v1/status`
    pub async fn status(&self) -> Result<Status, Error> {
        let reply = self.exchange(Method::GET, routes::STATUS, Bytes::new()).await?;
        // Before the rest, which a daemon of another version may well write differently.
        if let Ok(stated) = reply.decode::<StatedVersion>() {
            reply.call.check_version(stated.api_version)?;
        }
        reply.decode()
    }

    /// `GET /v1/caches`
    pub async fn caches(&self) -> Result<Vec<CacheSummary>, Error> {
        self.get(routes::CACHES).await
    }

    /// `GET /v1/caches/NAME`
    pub async fn cache(&self, name: &str) -> Result<CacheInfo, Error> {
        self.get(&routes::cache(name)).await
    }

    /// `POST /v1/caches/NAME/keys`
    pub async fn add_key(&self, cache: &str, key: &AddKey) -> Result<KeyInfo, Error> {
        let added = self.post(&routes::add_key(cache), Some(key)).await;
        self.blame_age(added, "way to add keys").await
    }

    /// `POST /v1/caches/NAME/keys/retire`
    pub async fn retire_key(&self, cache: &str, key: &RetireKey) -> Result<RetiredKey, Error> {
        let retired = self.post(&routes::retire_key(cache), Some(key)).await;
        self.blame_age(retired, "way to retire keys").await
    }

    /// `GET /v1/caches/NAME/paths`
    pub async fn paths(&self, cache: &str, wanted: &ListPaths) -> Result<PathList, Error> {
        let paths = self.get(&routes::list_paths(cache, wanted)).await;
        self.blame_age(paths, "list of paths").await
    }

    /// `GET /v1/caches/NAME/paths/HASH`
    pub async fn path(&self, cache: &str, store_hash: &str) -> Result<PathInfo, Error> {
        self.get(&routes::path(cache, store_hash)).await
    }

    /// `GET /v1/caches/NAME/paths/HASH/why`
    pub async fn path_why(&self, cache: &str, store_hash: &str) -> Result<PathWhy, Error> {
        let why = self.get(&routes::path_why(cache, store_hash)).await;
        self.blame_age(why, "garbage collection").await
    }

    /// `POST /v1/caches/NAME/paths/HASH/delete`
    pub async fn delete_path(
        &self,
        cache: &str,
        store_hash: &str,
        how: DeletePath,
    ) -> Result<DeletedPaths, Error> {
        let deleted = self.post(&routes::delete_path(cache, store_hash), Some(&how)).await;
        self.blame_age(deleted, "way to delete paths").await
    }

    /// `GET /v1/pins`
    pub async fn pins(&self, wanted: &ListPins) -> Result<Vec<PinInfo>, Error> {
        let pins = self.get(&routes::list_pins(wanted)).await;
        self.blame_age(pins, "list of pins").await
    }

    /// `POST /v1/pins`
    pub async fn create_pin(&self, pin: &CreatePin) -> Result<PinInfo, Error> {
        let pin = self.post(routes::PINS, Some(pin)).await;
        self.blame_age(pin, "way to add pins").await
    }

    /// `POST /v1/pins/remove`
    pub async fn remove_pin(&self, pin: &RemovePin) -> Result<RemovedPins, Error> {
        let removed = self.post(routes::REMOVE_PIN, Some(pin)).await;
        self.blame_age(removed, "way to remove pins").await
    }

    /// `GET /v1/usage`
    pub async fn usage(&self, wanted: &UsageQuery) -> Result<Usage, Error> {
        let usage = self.get(&routes::show_usage(wanted)).await;
        self.blame_age(usage, "figures by age or path").await
    }

    /// `GET /v1/tokens`
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, Error> {
        self.get(routes::TOKENS).await
    }

    /// `POST /v1/tokens`
    pub async fn create_token(&self, token: &CreateToken) -> Result<CreatedToken, Error> {
        self.post(routes::TOKENS, Some(token)).await
    }

    /// `POST /v1/tokens/ID/revoke`
    pub async fn revoke_token(&self, id: &str) -> Result<TokenInfo, Error> {
        self.post(&routes::revoke_token(id), None::<&()>).await
    }

    /// `GET /v1/agents`
    pub async fn agents(&self) -> Result<Vec<AgentInfo>, Error> {
        let agents = self.get(routes::AGENTS).await;
        self.blame_age(agents, "list of agents").await
    }

    /// `GET /v1/agents/NAME`
    pub async fn agent(&self, name: &str) -> Result<AgentInfo, Error> {
        self.get(&routes::agent(name)).await
    }

    /// `GET /v1/workspaces`
    pub async fn workspaces(&self) -> Result<Vec<WorkspaceInfo>, Error> {
        let workspaces = self.get(routes::WORKSPACES).await;
        self.blame_age(workspaces, "list of workspaces").await
    }

    /// `GET /v1/workspaces/NAME`
    pub async fn workspace(&self, name: &str) -> Result<WorkspaceInfo, Error> {
        self.get(&routes::workspace(name)).await
    }

    /// `GET /v1/deployments`
    pub async fn deployments(&self, wanted: &ListDeployments) -> Result<Vec<DeploymentInfo>, Error> {
        self.get(&routes::list_deployments(wanted)).await
    }

    /// `GET /v1/deployments/WHICH`
    pub async fn deployment(&self, which: &str) -> Result<DeploymentInfo, Error> {
        self.get(&routes::deployment(which)).await
    }

    /// `GET /v1/deployments/WHICH/log`
    pub async fn deployment_log(&self, which: &str, follow: bool) -> Result<Events, Error> {
        let how = FollowLog { follow: follow.then_some(true) };
        self.stream(Method::GET, &routes::deployment_log(which, how), Bytes::new()).await
    }

    /// `POST /v1/deployments/WHICH/cancel`
    pub async fn cancel_deployment(&self, which: &str) -> Result<DeploymentInfo, Error> {
        self.post(&routes::cancel_deployment(which), None::<&()>).await
    }

    /// `POST /v1/deployments`
    pub async fn activate(&self, wanted: &Activate) -> Result<Vec<DeploymentInfo>, Error> {
        self.post(routes::DEPLOYMENTS, Some(wanted)).await
    }

    /// `POST /v1/deployments/rollback`
    pub async fn roll_back(&self, wanted: &Rollback) -> Result<DeploymentInfo, Error> {
        self.post(routes::ROLLBACK, Some(wanted)).await
    }

    /// `GET /v1/jobs`
    pub async fn jobs(&self) -> Result<Vec<JobInfo>, Error> {
        match self.get(routes::JOBS).await {
            // Of all jobs, none is an answer; so it is the endpoint that is missing.
            Err(error) if is_not_found(&error) => Err(Error::TooOld { what: "long jobs" }),
            jobs => jobs,
        }
    }

    /// `POST /v1/jobs`
    pub async fn run_job(&self, job: &JobRequest) -> Result<Events, Error> {
        match self.stream(Method::POST, routes::JOBS, json(job)).await {
            Err(error) => Err(self.blame_missing_jobs(error).await),
            events => events,
        }
    }

    /// `POST /v1/jobs/ID/stop`
    pub async fn stop_job(&self, id: &str) -> Result<JobInfo, Error> {
        match self.post(&routes::stop_job(id), None::<&()>).await {
            Err(error) => Err(self.blame_missing_jobs(error).await),
            job => job,
        }
    }

    /// `GET /v1/workers`
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, Error> {
        let workers = self.get(routes::WORKERS).await;
        self.blame_age(workers, "list of workers").await
    }

    /// `POST /v1/workers/NAME/pause`
    pub async fn pause_worker(&self, name: &str) -> Result<WorkerInfo, Error> {
        let worker = self.post(&routes::pause_worker(name), None::<&()>).await;
        self.blame_age(worker, "way to pause workers").await
    }

    /// `POST /v1/workers/NAME/resume`
    pub async fn resume_worker(&self, name: &str) -> Result<WorkerInfo, Error> {
        let worker = self.post(&routes::resume_worker(name), None::<&()>).await;
        self.blame_age(worker, "way to pause workers").await
    }

    /// `GET /v1/peers`
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, Error> {
        let peers = self.get(routes::PEERS).await;
        self.blame_age(peers, "list of nodes").await
    }

    /// `POST /v1/peers/NODE/ping`
    pub async fn ping_peer(&self, node: &str) -> Result<Ping, Error> {
        self.post(&routes::ping_peer(node), None::<&()>).await
    }

    /// `GET /v1/dht`
    pub async fn dht(&self) -> Result<DhtInfo, Error> {
        let dht = self.get(routes::DHT).await;
        self.blame_age(dht, "DHT").await
    }

    /// `GET /v1/dht/record`
    pub async fn dht_record(&self, key: String) -> Result<DhtRecord, Error> {
        self.get(&routes::dht_record(&ReadRecord { key })).await
    }

    /// `POST /v1/dht/notes`
    pub async fn write_note(&self, note: &WriteNote) -> Result<DhtRecord, Error> {
        self.post(routes::DHT_NOTES, Some(note)).await
    }

    /// `POST /v1/reload`
    pub async fn reload(&self) -> Result<Reloaded, Error> {
        let reloaded = self.post(routes::RELOAD, None::<&()>).await;
        match self.blame_age(reloaded, "way to reload its config").await {
            Err(Error::Daemon(ApiError { code: ErrorCode::Invalid, message, hint })) => {
                Err(Error::FaultyConfig { faults: message.lines().map(str::to_owned).collect(), hint })
            }
            reloaded => reloaded,
        }
    }

    /// `GET /v1/doctor`
    pub async fn doctor(&self) -> Result<Vec<Finding>, Error> {
        let findings = self.get(routes::DOCTOR).await;
        self.blame_age(findings, "doctor").await
    }

    /// Tells a daemon that knows no jobs from one that does not find what a job is to work on.
    async fn blame_missing_jobs(&self, error: Error) -> Error {
        if !is_not_found(&error) {
            return error;
        }
        match self.jobs().await {
            Err(too_old @ Error::TooOld { .. }) => too_old,
            _ => error,
        }
    }

    /// Tells a daemon that has no `what` from one that does not find what it was asked about. All endpoints of which
    /// this can be asked came with that of the workers, and of all workers, none is an answer.
    async fn blame_age<T>(&self, result: Result<T, Error>, what: &'static str) -> Result<T, Error> {
        match result {
            Err(error) if is_not_found(&error) => match self.get::<IgnoredAny>(routes::WORKERS).await {
                Err(missing) if is_not_found(&missing) => Err(Error::TooOld { what }),
                _ => Err(error),
            },
            result => result,
        }
    }
}

/// Whether the daemon says that there is no such thing.
pub fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Daemon(ApiError { code: ErrorCode::NotFound, .. }))
}

/// As much of a [`Status`] as every version of the API has.
#[derive(Deserialize)]
struct StatedVersion {
    api_version: u32,
}
