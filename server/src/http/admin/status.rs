//! The state of the daemon.

use admin_api::{API_VERSION, CatalogFailure, Certificate, Listener, ShowStatus, Status};

use super::summary::{cache_summaries, storage_summaries};
use super::{Answer, upstreams};
use crate::http::state::State;
use crate::listeners::ListenerInfo;
use crate::tls::CertificateInfo;

pub(super) async fn show(state: &State, _: ShowStatus) -> Answer<Status> {
    let mut storages = Vec::new();
    for cache in state.caches().iter() {
        storages.extend(storage_summaries(state, cache).await?);
    }
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api_version: API_VERSION,
        started_at: state.started_at.0,
        uptime_seconds: state.started.elapsed().as_secs(),
        config: state.config().source.as_ref().map(|path| path.display().to_string()),
        state_dir: state.config().server.state_dir.display().to_string(),
        catalog_failure: state
            .catalog
            .write_failure()
            .map(|failure| CatalogFailure { since: failure.since.0, reason: failure.reason }),
        listeners: state.listeners.infos().into_iter().map(listener).collect(),
        certificates: state.tls.certificates().into_iter().map(certificate).collect(),
        caches: cache_summaries(state).await?,
        storages,
        upstreams: upstreams::infos(state),
    })
}

fn listener(info: ListenerInfo) -> Listener {
    Listener { purpose: info.purpose, address: info.address, cache: info.cache, error: info.error }
}

fn certificate(info: CertificateInfo) -> Certificate {
    Certificate { file: info.file, cache: info.cache, names: info.names, ends: info.ends }
}
