//! Who looks at a page, and what they may see.

use catalog::{TokenCaches, TokenPermission, TokenScope};

use super::session;
use crate::auth::Grant;
use crate::cache::Cache;
use crate::deploy::Workspace;
use crate::http::access;
use crate::http::error::HttpError;
use crate::http::router::Head;
use crate::http::state::State;

/// Who looks at a page.
#[derive(Clone, Debug, Default)]
pub struct Viewer {
    /// What the token permits that was presented at the login or with the request.
    grant: Option<Grant>,
    /// Whether there is a session, which can be ended.
    has_session: bool,
}

impl Viewer {
    /// Identifies whoever sent a request. An unknown session and a bad token are as good as none.
    ///
    /// # Errors
    ///
    /// That of the catalog, which knows the sessions.
    pub async fn of(state: &State, head: &Head) -> Result<Self, HttpError> {
        if let Some(grant) = session::find(state, &head.headers).await? {
            return Ok(Self { grant: Some(grant), has_session: true });
        }
        let authorization = head.authorization().ok().flatten();
        Ok(Self { grant: access::verify(&state.tokens, authorization).ok(), has_session: false })
    }

    /// The token, if there is one.
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// Whether there is a session, which can be ended.
    pub fn has_session(&self) -> bool {
        self.has_session
    }

    /// Whether the viewer may read the cache.
    pub fn may_read(&self, state: &State, cache: &Cache) -> bool {
        cache.is_public() || self.is_member(state, cache)
    }

    /// Whether the viewer has a token for the cache, and so may see who pushed what and where it lies.
    pub fn is_member(&self, state: &State, cache: &Cache) -> bool {
        self.grant.as_ref().is_some_and(|grant| access::read_with(state, cache, grant).is_ok())
    }

    /// Whether the viewer has a token with the permission `admin` on all caches.
    pub fn is_operator(&self) -> bool {
        let scope = self.grant.as_ref().map(|grant| &grant.scope);
        let all = TokenCaches::All;
        matches!(scope, Some(TokenScope::Caches { caches, permission: TokenPermission::Admin }) if *caches == all)
    }

    /// Whether the viewer may see the deployments of the workspace and their logs.
    pub fn may_watch(&self, state: &State, workspace: &Workspace) -> bool {
        match self.grant.as_ref().map(|grant| &grant.scope) {
            Some(TokenScope::Activate(name)) => *name == workspace.name,
            Some(TokenScope::Agent(name)) => {
                let agent = state.deploy.fleet().agent(name).cloned();
                agent.is_some_and(|agent| agent.workspace.id == workspace.id)
            }
            Some(TokenScope::Caches { .. }) => self.is_operator(),
            None => false,
        }
    }

    /// Whether there is a workspace that the viewer may see.
    pub fn watches_any(&self, state: &State) -> bool {
        self.grant.is_some()
            && state.deploy.fleet().workspaces().any(|workspace| self.may_watch(state, workspace))
    }
}
