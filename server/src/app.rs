//! Wires the parts: what starts in which order, when the daemon is ready, how it stops.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use catalog::UnixTime;
use supervised::keep_running;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cache::setup::Shared;
use crate::chain::chain;
use crate::config::{Config, Secret};
use crate::core::{Core, OpenError};
use crate::federation::FederationError;
use crate::http::state::State;
use crate::http::{self, Forwarder, KeptFigures, PartUrlKey};
use crate::jobs::Jobs;
use crate::listeners::serve::ConnectionLimits;
use crate::listeners::{self, CertificateWatch, ListenError, Listeners, Reopener};
use crate::origin::{Origin, reachable_host};
use crate::reload::{Controls, KeyControl, LogControl, Reloader, Started};
use crate::server_key::ServerKeyError;
use crate::state_dir::StateDirError;
use crate::workers::{self, Workers};
use crate::{observe, server_key, state_dir, systemd};

/// Why the daemon could not start. Each says what to do about it, where that is known.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory is unusable.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The server key cannot be read.
    #[error(transparent)]
    Key(#[from] ServerKeyError),
    /// What every part shares cannot be opened.
    #[error(transparent)]
    Core(#[from] OpenError),
    /// The node of the network could not start.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// An address is taken or not ours.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl StartError {
    /// What to do about it, where the error does not say so itself.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Listen(error) => error.advice(),
            Self::StateDir(error) => error.advice().map(str::to_owned),
            _ => None,
        }
    }
}

/// The daemon, put together.
pub struct App {
    state: Arc<State>,
    /// Held for as long as the daemon uses its state directory.
    _lock: File,
}

impl App {
    /// Opens everything and repairs what a crash left. Nothing listens yet. `text` is that of the configuration file, if
    /// there is one. A reload tells `logging` what to log from then on.
    pub async fn open(config: Config, text: Option<Secret>, logging: LogControl) -> Result<Self, StartError> {
        let started = Instant::now();
        observe::metrics::note_start();
        let lock = state_dir::claim(&config.server.state_dir)?;
        state_dir::check_restored(&config.server.state_dir)?;
        let key = server_key::load_or_generate(&config.server.key, &config.server.state_dir)?;
        let host = key_host(&config);
        let shared = Shared::new(config.server.narinfo_memory);
        let own_host = reachable_host(&config.server).await;
        let origin = Origin::new(&config.server, own_host);
        let part_urls = PartUrlKey::derive(key.as_bytes(), config.server.upload_expiry);
        let part_urls = Arc::new(ArcSwap::from_pointee(part_urls));
        let core = Arc::new(Core::open(config, key.as_bytes(), &host, &shared).await?);
        let jobs = Arc::new(Jobs::default());
        if let Err(error) = jobs.load_history(&core).await {
            tracing::warn!(error = %chain(&error), "could not read which jobs ran before");
        }
        let workers = Arc::new(Workers::new(jobs.clone()));
        let listeners = Arc::new(Listeners::default());
        let controls = Controls { logging, key: replace_part_url_key(part_urls.clone()) };
        let at_start = Started { shared, host, key, text };
        let forwarder = Forwarder::new(core.https.clone());
        let reloader = Reloader::new(core.clone(), workers.clone(), listeners.clone(), at_start, controls);
        let state = State {
            core,
            jobs,
            workers,
            listeners,
            reloader: Arc::new(reloader),
            origin,
            part_urls,
            forwarder,
            figures: KeptFigures::default(),
            started_at: UnixTime::now(),
            started,
        };
        Ok(Self { state: Arc::new(state), _lock: lock })
    }

    /// What the daemon is made of.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Listens, serves until `stop` is cancelled, then drains.
    pub async fn run(self, stop: CancellationToken, on_ready: impl FnOnce(&State)) -> Result<(), StartError> {
        let state = &self.state;
        let State { core, jobs, workers, listeners, reloader, .. } = &**state;
        let (stopping, stopping_seen) = watch::channel(false);
        let limits = ConnectionLimits::new(core.config().server.max_connections, stopping_seen);
        workers::follow(core, workers).await;
        let bound = listeners::bind_all(listeners, &core.config()).await?;
        core.federation.start(&core.config(), reloader.key().as_bytes(), core.caches()).await?;
        // Before anybody can ask for a worker that is not there yet.
        workers::start(
            core,
            workers,
            vec![Box::new(Reopener(listeners.clone())), Box::new(CertificateWatch)],
        );
        listeners.start(limits, core.clone(), http::served_on(state), bound);
        log_storages(core);
        let watchdog = tokio::spawn(systemd::run_watchdog());
        jobs.resume(core).await;
        systemd::notify_ready(&listeners.summary());
        let (watched, ending) = (core.clone(), stop.clone());
        tokio::spawn(async move {
            let watch = || end_uploads_of_revoked_tokens(&watched, &ending);
            keep_running("ending uploads of revoked tokens", &ending, watch).await;
        });
        on_ready(state);

        stop.cancelled().await;
        tracing::info!("stopping: running transfers may finish");
        systemd::notify_stopping();
        stopping.send_replace(true);
        core.federation.stop();
        let drained = async {
            // Clients that watch a job stay connected until it ends.
            tokio::join!(listeners.stopped(), jobs.shut_down(), core.deploy.close());
            tokio::join!(core.ingest.drain(), core.nar_store.drain());
        };
        if tokio::time::timeout(core.config().server.drain_timeout, drained).await.is_err() {
            tracing::warn!("some transfers did not finish in time and are cut off");
        }
        jobs.shut_down().await;
        workers.stop().await;
        watchdog.abort();
        save_turns(core).await;
        core.uploads.leave_uploads();
        core.catalog.close().await;
        listeners.remove_admin_socket();
        Ok(())
    }
}

/// Says in the log which storages there are, and what state each is in.
fn log_storages(core: &Core) {
    for cache in core.caches().iter() {
        for storage in cache.storages().iter() {
            let condition = storage.condition();
            tracing::info!(
                cache = cache.name(),
                storage = storage.name(),
                kind = storage.kind().as_str(),
                location = storage.location,
                is_readable = !storage.liveness.is_lost(),
                free_bytes = condition.usage.free,
                "storage"
            );
        }
    }
}

/// Lets part URLs be signed with a key that is derived from a new server key, while those signed before stay valid.
fn replace_part_url_key(part_urls: Arc<ArcSwap<PartUrlKey>>) -> KeyControl {
    Box::new(move |key, server| {
        let new = PartUrlKey::derive(key, server.upload_expiry);
        part_urls.store(Arc::new(new.after(&part_urls.load())));
    })
}

/// Remembers whose turn it is. Every commit does so as well, but for turns that were lost since.
async fn save_turns(core: &Core) {
    for cache in core.caches().iter() {
        if let Some(turns) = cache.storages().turns()
            && let Err(error) = core.catalog.save_turns(cache.id, turns).await
        {
            tracing::warn!(cache = cache.name(), error = %chain(&error), "could not remember whose turn it is");
        }
    }
}

/// Ends the uploads of each token as soon as it is revoked, until the daemon stops.
async fn end_uploads_of_revoked_tokens(core: &Core, stop: &CancellationToken) {
    let mut revoked = core.tokens.watch_revoked();
    while let Some(Ok(())) = stop.run_until_cancelled(revoked.changed()).await {
        let ended = core.uploads.end_uploads_of(|token| !core.tokens.may_continue(token));
        if ended > 0 {
            tracing::info!(ended, "ended the unfinished uploads of tokens that are not valid any more");
        }
    }
}

/// `HOST` of key names: the public name, else the configured one, else what this machine is called.
fn key_host(config: &Config) -> String {
    if let Some(host) = config.server.public_url.as_ref().and_then(|url| url.host_str()) {
        return host.to_owned();
    }
    let hostname = config.server.hostname.as_str();
    match hostname.parse::<std::net::IpAddr>() {
        Ok(address) if address.is_loopback() => "localhost".to_owned(),
        Ok(_) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        Err(_) => hostname.to_owned(),
    }
}
