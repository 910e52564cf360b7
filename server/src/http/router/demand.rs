//! What routes demand of their clients. The router checks it before the handler runs; [`access`] has the rules.

use std::future::Future;
use std::sync::Arc;

use catalog::TokenPermission;
use serde::Deserialize;
use uuid::Uuid;

use super::request::Head;
use crate::auth::TokenRef;
use crate::cache::Cache;
use crate::deploy::{self, Workspace};
use crate::federation::{InventoryQuestion, PEER_HEADER, PROOF_HEADER, ProvenPeer};
use crate::http::access;
use crate::http::cachix::{PartUrlQuery, SignedPart};
use crate::http::error::HttpError;
use crate::http::state::State;

/// What a route demands. `P` are the parameters of its path.
pub trait Demand<P: Sync>: Send + Sync + 'static {
    /// Its name in the list of routes.
    const NAME: &'static str;
    /// `Arc<Cache>` if it is demanded on a cache, else `()`.
    type On: Place;
    /// What the handler learns from the check.
    type Grant: Send + Sync + 'static;

    /// Checks a request.
    ///
    /// # Errors
    ///
    /// The refusal, if the client does not meet the demand.
    fn check(
        state: &State,
        on: &Self::On,
        head: &Head,
        path: &P,
    ) -> impl Future<Output = Result<Self::Grant, HttpError>> + Send;
}

/// What a demand applies to.
pub trait Place: Sized + Send + Sync + 'static {
    /// Whether this is a cache.
    const IS_CACHE: bool;

    /// Takes the cache that a request is for. `None` if a cache is needed and there is none.
    fn of(cache: Option<Arc<Cache>>) -> Option<Self>;
}

impl Place for () {
    const IS_CACHE: bool = false;

    fn of(_: Option<Arc<Cache>>) -> Option<Self> {
        Some(())
    }
}

impl Place for Arc<Cache> {
    const IS_CACHE: bool = true;

    fn of(cache: Option<Arc<Cache>>) -> Option<Self> {
        cache
    }
}

/// Nothing: the route is open to everybody.
pub struct Nothing;

impl<P: Sync> Demand<P> for Nothing {
    const NAME: &'static str = "Nothing";
    type On = ();
    type Grant = ();

    async fn check(_: &State, (): &(), _: &Head, _: &P) -> Result<(), HttpError> {
        Ok(())
    }
}

/// Permission to read what Nix reads. See [`access::read`].
pub struct Read;

impl<P: Sync> Demand<P> for Read {
    const NAME: &'static str = "Read";
    type On = Arc<Cache>;
    type Grant = ();

    async fn check(state: &State, cache: &Arc<Cache>, head: &Head, _: &P) -> Result<(), HttpError> {
        Ok(access::read(state, cache, head.authorization()?)?)
    }
}

/// Permission to read through the API. Grants the permission of the token; `None` for an anonymous reader of a public cache.
/// See [`access::read_api`].
pub struct ReadApi;

impl<P: Sync> Demand<P> for ReadApi {
    const NAME: &'static str = "ReadApi";
    type On = Arc<Cache>;
    type Grant = Option<TokenPermission>;

    async fn check(state: &State, cache: &Arc<Cache>, head: &Head, _: &P) -> Result<Self::Grant, HttpError> {
        Ok(access::read_api(&state.tokens, cache, head.authorization()?)?)
    }
}

/// A token that may change the cache. See [`access::write`].
pub struct Write;

impl<P: Sync> Demand<P> for Write {
    const NAME: &'static str = "Write";
    type On = Arc<Cache>;
    type Grant = TokenRef;

    async fn check(state: &State, cache: &Arc<Cache>, head: &Head, _: &P) -> Result<TokenRef, HttpError> {
        Ok(access::write(&state.tokens, cache, head.authorization()?)?)
    }
}

/// A token that may change what the cache is. See [`access::administer`].
pub struct Administer;

impl<P: Sync> Demand<P> for Administer {
    const NAME: &'static str = "Administer";
    type On = Arc<Cache>;
    type Grant = TokenRef;

    async fn check(state: &State, cache: &Arc<Cache>, head: &Head, _: &P) -> Result<TokenRef, HttpError> {
        Ok(access::administer(&state.tokens, cache, head.authorization()?)?)
    }
}

/// A URL that the API has signed for the upload of this one part. Grants the MD5 that the part must have.
pub struct PartUrl;

impl Demand<(Uuid, u32)> for PartUrl {
    const NAME: &'static str = "PartUrl";
    type On = Arc<Cache>;
    type Grant = [u8; 16];

    async fn check(
        state: &State,
        cache: &Arc<Cache>,
        head: &Head,
        (upload, number): &(Uuid, u32),
    ) -> Result<[u8; 16], HttpError> {
        let query: PartUrlQuery = head.query().map_err(|_| HttpError::invalid_part_url())?;
        SignedPart::verify(&state.part_urls.load(), cache.name(), *upload, *number, &query)
            .ok_or_else(HttpError::invalid_part_url)
    }
}

/// The token of a deploy agent. See [`access::agent`].
pub struct Agent;

impl<P: Sync> Demand<P> for Agent {
    const NAME: &'static str = "Agent";
    type On = ();
    type Grant = (Arc<deploy::Agent>, TokenRef);

    async fn check(state: &State, (): &(), head: &Head, _: &P) -> Result<Self::Grant, HttpError> {
        let (name, authorization) = (head.header("name")?, head.authorization()?);
        Ok(access::agent(state, name, authorization)?)
    }
}

/// A token that may activate deployments in a workspace. See [`access::activate`].
pub struct Activate;

impl<P: Sync> Demand<P> for Activate {
    const NAME: &'static str = "Activate";
    type On = ();
    type Grant = (Arc<Workspace>, TokenRef);

    async fn check(state: &State, (): &(), head: &Head, _: &P) -> Result<Self::Grant, HttpError> {
        Ok(access::activate(state, head.authorization()?)?)
    }
}

/// [`Activate`] of a client that views a log (`?view=true`), [`Agent`] of one that writes it.
pub struct AgentOrActivate;

/// What [`AgentOrActivate`] grants.
pub enum LogAccess {
    /// The agent writes the log.
    Write(Arc<deploy::Agent>, TokenRef),
    /// Somebody views a log of the workspace.
    View(Arc<Workspace>, TokenRef),
}

#[derive(Deserialize)]
struct LogQuery {
    #[serde(default)]
    view: Option<String>,
}

impl<P: Sync> Demand<P> for AgentOrActivate {
    const NAME: &'static str = "AgentOrActivate";
    type On = ();
    type Grant = LogAccess;

    async fn check(state: &State, on: &(), head: &Head, path: &P) -> Result<LogAccess, HttpError> {
        let query: LogQuery = head.query()?;
        if query.view.is_some_and(|view| !matches!(view.as_str(), "false" | "0")) {
            let (workspace, token) = Activate::check(state, on, head, path).await?;
            Ok(LogAccess::View(workspace, token))
        } else {
            let (agent, token) = Agent::check(state, on, head, path).await?;
            Ok(LogAccess::Write(agent, token))
        }
    }
}

/// Proof that the client is a node of the same network.
pub struct Peer;

impl<P: Sync> Demand<P> for Peer {
    const NAME: &'static str = "Peer";
    type On = ();
    type Grant = ProvenPeer;

    async fn check(state: &State, (): &(), head: &Head, _: &P) -> Result<ProvenPeer, HttpError> {
        let question: InventoryQuestion = head.query()?;
        let node = head.header(PEER_HEADER)?.ok_or_else(HttpError::not_found)?;
        let proof = head.header(PROOF_HEADER)?.ok_or_else(HttpError::not_found)?;
        let peer = node.parse().ok().and_then(|node| state.federation.recognise(question, node, proof));
        peer.ok_or_else(HttpError::not_a_peer)
    }
}
