//! Records what clients change, or try to change, in the audit log.

use std::sync::Arc;

use http::{Method, StatusCode};
use warp::reply::Response;

use super::request::Head;
use super::route::Route;
use crate::audit::{Event, Object};
use crate::auth::Credential;
use crate::http::state::State;

/// Routes whose success changes nothing yet: what they begin is recorded when it is completed.
const PREPARATIONS: [&str; 5] = [
    "/nar/{nar}",
    "/api/v1/cache/{cache}/nar",
    "/api/v1/cache/{cache}/multipart-nar",
    "/api/v1/cache/{cache}/multipart-nar/{id}",
    "/api/v1/cache/{cache}/multipart-nar/{id}/part/{number}",
];
/// Routes of the sockets by which agents report, though their method says that they only read.
const SOCKETS: [&str; 2] = ["/ws", "/ws-deployment"];
/// A route that only reads, though its method says otherwise.
const BULK_QUERY: &str = "/api/v1/cache/{cache}/narinfo";

/// A request that may change something, until it is answered.
pub struct Audited {
    state: Arc<State>,
    event: Event,
    is_preparation: bool,
}

/// Notes a request for this route. `None` if it only reads.
pub fn begin(state: &Arc<State>, route: &Route, cache: Option<&str>, head: &Head) -> Option<Audited> {
    let reads = matches!(head.method, Method::GET | Method::HEAD) && !SOCKETS.contains(&route.path);
    if reads || route.path == BULK_QUERY {
        return None;
    }
    let event = Event {
        cache: cache.map(str::to_owned),
        action: format!("{} {}", head.method, route.path),
        ..event_of(state, head)
    };
    Some(Audited { state: state.clone(), event, is_preparation: PREPARATIONS.contains(&route.path) })
}

/// Records a change that was refused before its route was known.
pub fn refuse(state: &State, head: &Head, response: &Response) {
    let is_refusal = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if is_refusal && !matches!(head.method, Method::GET | Method::HEAD) {
        let status = response.status().as_u16();
        state.audit.record(&Event { action: head.method.to_string(), status, ..event_of(state, head) });
    }
}

/// Who sent a request, and where to.
fn event_of(state: &State, head: &Head) -> Event {
    let credential = Credential::from_header(head.authorization().ok().flatten());
    let token = credential.and_then(|credential| state.tokens.verify(credential.token()).ok());
    let token = token.map(|grant| grant.token.id());
    let session = token.and_then(|token| state.tokens.session(token));
    Event {
        token,
        claims: session.map(|session| session.record.claims.clone()),
        subject: token.and_then(|token| state.tokens.subject_of(token)),
        address: head.client,
        // Queries may hold signatures.
        object: head.target.split('?').next().unwrap_or_default().to_owned(),
        ..Event::default()
    }
}

impl Audited {
    /// Records what came of the request.
    pub fn end(mut self, response: &mut Response) {
        self.event.status = response.status().as_u16();
        if self.is_preparation && self.event.status < 400 {
            return;
        }
        if let Some(Object(object)) = response.extensions_mut().remove() {
            self.event.object = object;
        }
        self.state.audit.record(&self.event);
    }
}
