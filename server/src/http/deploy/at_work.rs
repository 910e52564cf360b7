//! `/ws-deployment`: an agent tells how a deployment goes (protocol reference 7.7).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use warp::Filter;

use super::message::{self, FetchSource};
use super::socket::{Heard, Permit, Socket, Upgrade, upgrade};
use crate::app::App;
use crate::auth::TokenRef;
use crate::deploy::{Agent, Owner};
use crate::http::{Route, access, origin, reply};

/// How long the answer to a goodbye may be late.
const RECORDING: Duration = Duration::from_secs(2);
/// Messages that wait to be recorded. An agent sends three for each deployment.
const QUEUE: usize = 100;

pub(super) fn routes(app: &Arc<App>) -> impl Route {
    let app = app.clone();
    warp::path!("ws-deployment")
        .and(warp::get())
        .and(access::authorization())
        .and(warp::header::optional::<String>("name"))
        .and(origin::host())
        .and(upgrade())
        .then(move |authorization: Option<String>, name: Option<String>, host, upgrade: Upgrade| {
            let app = app.clone();
            reply(async move {
                let (agent, token) = access::agent(&app, name.as_deref(), authorization.as_deref())?;
                let serving = app.clone();
                let owner = Owner::Agent(agent.id);
                upgrade.accept(&app, owner, move |socket| serve(serving, agent, token, host, socket))
            })
        })
}

async fn serve(app: Arc<App>, agent: Arc<Agent>, token: TokenRef, host: Option<String>, mut socket: Socket) {
    let at_work = app.deploy.online().begin_work(agent.id);
    let source = FetchSource::of(&app, &agent, host.as_deref());
    // Clients before 1.1 wait for it.
    if socket.say(message::agent_registered(&agent, &source)).await.is_err() {
        return;
    }
    // Recorded beside the socket: an agent rolls back when a ping is not answered for ten seconds, and the catalog may
    // take longer.
    let (reports, mut received) = mpsc::channel(QUEUE);
    let recording = {
        let (deploy, agent) = (app.deploy.clone(), agent.clone());
        async move {
            while let Some(report) = received.recv().await {
                deploy.report(&agent, report).await;
            }
            // Only now: what was recorded says better than the socket whether the agent is free.
            drop(at_work);
        }
    };
    let recording = app.deploy.sockets().spawn(recording);

    let mut permit = Permit::new(&app, token, {
        let agent = agent.clone();
        move |fleet| fleet.agent_by_id(agent.id) == Some(&agent)
    });
    let ending = loop {
        tokio::select! {
            heard = socket.hear() => match heard {
                Heard::Gone => break None,
                Heard::Text(text) => match message::report(&text) {
                    Some(report) => if reports.send(report).await.is_err() {
                        break None;
                    },
                    None => tracing::debug!(agent = agent.name, "a message that means nothing here"),
                },
            },
            ending = permit.ended() => break Some(ending),
        }
    };
    drop(reports);
    // An agent that was answered has been heard. It waits for three seconds, then the rest is recorded all the same.
    let _ = timeout(RECORDING, recording).await;
    socket.end(ending).await;
}
