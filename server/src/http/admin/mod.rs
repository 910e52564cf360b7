//! The admin API on the Unix socket, for `cachectl`.
//!
//! [`routes`] lists every endpoint. The request type of an endpoint, in the crate `admin-api`, states its method, its path
//! and its reply; `serve` makes a route of that and of a handler here. There is one file per noun.
//!
//! Anyone who can open the socket may do everything: its file mode and group are the access control.

mod agents;
mod caches;
mod deployment_log;
mod deployments;
mod dht;
mod doctor;
mod error;
mod explain;
mod job_events;
mod jobs;
mod keys;
mod paths;
mod peers;
mod physical;
mod pins;
mod reload;
mod serve;
mod status;
mod summary;
mod tokens;
mod trash;
mod uploads;
mod upstreams;
mod usage;
mod workers;
mod workspaces;

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use admin_api::{
    API_VERSION, AbortUpload, Activate, AddKey, CancelDeployment, CheckUpstreams, CreatePin, CreateToken,
    DeletePath, Diagnose, EmptyTrash, ErrorCode, ExplainPath, JobRequest, ListAgents, ListCaches,
    ListDeployments, ListJobs, ListPaths, ListPeers, ListPins, ListTokens, ListTrash, ListUploads,
    ListUpstreams, ListWorkers, ListWorkspaces, PauseWorker, PingPeer, ReadLog, ReadRecord, Reload,
    RemovePin, RestorePath, ResumeWorker, RetireKey, RevokeToken, Rollback, ShowAgent, ShowCache,
    ShowDeployment, ShowDht, ShowPath, ShowStatus, ShowUsage, ShowWorkspace, StopJob, VERSION_HEADER,
    WriteNote,
};
use http::HeaderValue;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection};

pub(super) use self::agents::agent_info;
pub(super) use self::doctor::diagnose;
use self::error::failure;
pub(super) use self::explain::explain;
pub(super) use self::jobs::list as list_jobs;
pub(super) use self::paths::copies_of;
pub(super) use self::peers::list as list_peers;
use self::serve::{Answer, Events, Route, one_of, refuse, serve, serve_lines};
pub(super) use self::summary::{copies_summary, storage_summaries};
pub(super) use self::tokens::list as list_tokens;
pub(super) use self::upstreams::list as list_upstreams;
pub(super) use self::workers::list as list_workers;
use crate::http::state::State;
use crate::listeners::serve::Routes;

/// Every endpoint with its handler.
#[rustfmt::skip]
fn endpoints() -> [Route; 46] {
    [
        serve::<ShowStatus>(status::show),
        serve::<Diagnose>(doctor::diagnose),
        serve::<Reload>(reload::reload),

        serve::<ListCaches>(caches::list),
        serve::<ShowCache>(caches::show),
        serve::<AddKey>(keys::add),
        serve::<RetireKey>(keys::retire),
        serve::<ShowUsage>(usage::show),

        serve::<ListPaths>(paths::list),
        serve::<ShowPath>(paths::show),
        serve::<ExplainPath>(explain::explain),
        serve::<DeletePath>(paths::delete),
        serve::<RestorePath>(trash::restore),
        serve::<ListTrash>(trash::list),
        serve::<EmptyTrash>(trash::empty),
        serve::<ListPins>(pins::list),
        serve::<CreatePin>(pins::create),
        serve::<RemovePin>(pins::remove),

        serve::<ListTokens>(tokens::list),
        serve::<CreateToken>(tokens::create),
        serve::<RevokeToken>(tokens::revoke),
        serve::<ListUploads>(uploads::list),
        serve::<AbortUpload>(uploads::abort),

        serve::<ListAgents>(agents::list),
        serve::<ShowAgent>(agents::show),
        serve::<ListWorkspaces>(workspaces::list),
        serve::<ShowWorkspace>(workspaces::show),
        serve::<ListDeployments>(deployments::list),
        serve::<ShowDeployment>(deployments::show),
        serve::<Activate>(deployments::activate),
        serve::<Rollback>(deployments::roll_back),
        serve::<CancelDeployment>(deployments::cancel),
        serve_lines::<ReadLog, _>(deployment_log::read),

        serve::<ListJobs>(jobs::list),
        serve_lines::<JobRequest, _>(jobs::start),
        serve::<StopJob>(jobs::stop),
        serve::<ListWorkers>(workers::list),
        serve::<PauseWorker>(workers::pause),
        serve::<ResumeWorker>(workers::resume),

        serve::<ListPeers>(peers::list),
        serve::<PingPeer>(peers::ping),
        serve::<ListUpstreams>(upstreams::list),
        serve::<CheckUpstreams>(upstreams::check),
        serve::<ShowDht>(dht::show),
        serve::<ReadRecord>(dht::read),
        serve::<WriteNote>(dht::write),
    ]
}

/// Returns all routes of the admin socket.
pub(super) fn routes(state: &Arc<State>) -> Routes {
    let unknown = || failure(ErrorCode::NotFound, "the daemon does not know this command", None);
    version_check()
        .or(one_of(state, endpoints()))
        .unify()
        .or(health(state))
        .unify()
        .recover(move |_: Rejection| async move { Ok::<_, Infallible>(refuse(&unknown())) })
        .unify()
        .map(|mut response: Response| {
            response.headers_mut().insert(VERSION_HEADER, HeaderValue::from(API_VERSION));
            response
        })
        .boxed()
}

/// The health, which every listener tells.
fn health(state: &Arc<State>) -> Routes {
    let state = state.clone();
    warp::get()
        .or(warp::head())
        .unify()
        .and(warp::path::full())
        .and_then(move |path: FullPath| {
            ready(super::health::answer(&state, path.as_str()).ok_or_else(warp::reject::not_found))
        })
        .boxed()
}

/// Answers requests of a `cachectl` that speaks another version, and rejects all others.
fn version_check() -> Routes {
    let refuse_others = |version: u32| async move {
        if version == API_VERSION {
            return Err(warp::reject::not_found());
        }
        let message = format!(
            "cachectl speaks version {version} of the admin API, but the daemon speaks version {API_VERSION}"
        );
        let hint = "use the cachectl that came with the daemon, or restart the daemon after an upgrade";
        Ok(refuse(&failure(ErrorCode::VersionMismatch, message, Some(hint))))
    };
    warp::header::<u32>(VERSION_HEADER).and_then(refuse_others).boxed()
}
