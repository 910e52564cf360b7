//! The log of a deployment, as a stream of its lines.

use std::sync::Arc;

use admin_api::{EVENTS_INTERVAL, LogEvent, ReadLog};
use catalog::{CatalogError, DeploymentId, NumberedLine};
use futures_util::{StreamExt, stream};

use super::deployments::{find, info};
use super::{Answer, Events};
use crate::chain::chain;
use crate::core::Core;
use crate::deploy::LogView;
use crate::http::state::State;

/// The most lines that are read from the catalog at a time.
const PAGE: u64 = 500;

pub(super) async fn read(state: &State, request: ReadLog) -> Answer<Events<LogEvent>> {
    let (record, _) = find(state, &request.deployment).await?;
    let source = if request.follow == Some(true) {
        Source::Followed(Box::new(state.deploy.view_log(record.id)))
    } else {
        Source::Stored { after: 0 }
    };
    let reader = Reader { core: state.core.clone(), id: record.id, source, has_ended: false };
    let events = stream::unfold(reader, |mut reader| async move {
        let events = reader.next().await?;
        Some((stream::iter(events), reader))
    });
    Ok(events.flatten().boxed())
}

/// A client that reads a log.
struct Reader {
    core: Arc<Core>,
    id: DeploymentId,
    source: Source,
    has_ended: bool,
}

/// Where lines come from.
enum Source {
    /// The catalog, as far as lines are there already.
    Stored { after: u64 },
    /// The catalog and then the agent, until the deployment ends.
    Followed(Box<LogView>),
}

impl Reader {
    /// Returns the next events; `None` after the last one, or if the daemon stops or fails.
    async fn next(&mut self) -> Option<Vec<LogEvent>> {
        if self.has_ended {
            return None;
        }
        let closing = self.core.deploy.closing().clone();
        let lines = tokio::select! {
            () = closing.cancelled() => return None,
            () = tokio::time::sleep(EVENTS_INTERVAL / 2) => return Some(vec![LogEvent::Waiting]),
            lines = self.source.next(&self.core, self.id) => lines,
        };
        match lines {
            Ok(Some(lines)) => Some(
                lines.into_iter().map(|line| LogEvent::Line { time: line.time, line: line.line }).collect(),
            ),
            Ok(None) => {
                self.has_ended = true;
                let (record, name) = find(&self.core, &self.id.0.to_string()).await.ok()?;
                Some(vec![LogEvent::End { deployment: info(&record, &name) }])
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "cannot read the log of a deployment");
                None
            }
        }
    }
}

impl Source {
    /// Returns the next lines; `None` at the end. Cancel safe.
    async fn next(
        &mut self,
        core: &Core,
        id: DeploymentId,
    ) -> Result<Option<Vec<NumberedLine>>, CatalogError> {
        match self {
            Self::Followed(view) => view.next().await,
            Self::Stored { after } => {
                let lines = core.catalog.read_log(id, *after, PAGE).await?;
                let Some(last) = lines.last() else { return Ok(None) };
                *after = last.number;
                Ok(Some(lines))
            }
        }
    }
}
