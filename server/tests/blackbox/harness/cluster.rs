//! Two daemons over one PostgreSQL database and one S3 bucket, each with a state directory of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::daemon::DAEMON;
use super::{Permission, Pusher, SOON, Site, wait_for};

#[path = "../../../crates/catalog/tests/support/postgres.rs"]
mod postgres;

use super::garage::{ACCESS_KEY, BUCKET, Garage, REGION, SECRET_KEY};

/// The daemons and what they share. Fields are dropped in their order, so that the daemons go first.
pub struct Cluster {
    pub a: Site,
    pub b: Site,
    database: postgres::Database,
    pub postgres: postgres::Server,
    _garage: Garage,
}

impl Cluster {
    /// Both daemons, with the caches of [`Site::start`].
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// [`Self::start`] with the same changes to the config of both.
    pub fn with(edit: impl Fn(&mut Value)) -> Self {
        Self::with_files(|config, _| edit(config))
    }

    /// [`Self::with`] that is also told the directory of each, for files that the config names.
    pub fn with_files(edit: impl Fn(&mut Value, &Path)) -> Self {
        Self::launched(edit, || {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            command
        })
    }

    /// [`Self::with_files`], started by another command than the daemon alone.
    pub fn launched(
        edit: impl Fn(&mut Value, &Path),
        launcher: impl Fn() -> Command + Clone + Send + Sync + 'static,
    ) -> Self {
        let garage = Garage::start();
        let postgres = postgres::Server::private_and_fast();
        let database = postgres.database();
        let (endpoint, url) = (garage.endpoint(), database.url());
        let share = |config: &mut Value, directory: &Path| {
            edit(config, directory);
            config["server"]["database"] = json!(url);
            for cache in config["caches"].as_array_mut().unwrap() {
                cache["storages"] = json!([bucket(&endpoint)]);
            }
        };
        let site = || {
            let launcher = launcher.clone();
            Site::launched(share, move |_| launcher())
        };
        let [a, b] = [site(), site()];
        Self { a, b, database, postgres, _garage: garage }
    }

    /// Holds back what the daemons hear of each other's changes, for the seconds until they notice and listen anew.
    pub fn delay_feeds(&self) -> DelayedFeeds {
        // A connection shows what it was last asked for: LISTEN, then after some quiet seconds whether it is still there.
        let connections = |query: &str| {
            let sql =
                format!("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND {query}");
            self.database.run(&sql).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let backends = wait_for(SOON, "both daemons listen", || {
            let listening = connections("query LIKE 'LISTEN%'");
            if listening.len() == 2 {
                return Some(listening);
            }
            connections("query = 'SELECT 1' AND pg_terminate_backend(pid)");
            None
        });
        signal("-STOP", &backends);
        DelayedFeeds { backends }
    }

    /// The URL of the database.
    pub fn database_url(&self) -> String {
        self.database.url()
    }

    /// Changes the database behind the daemons' backs.
    pub fn run_sql(&self, sql: &str) {
        self.database.run(sql);
    }

    /// All that the database holds, as text.
    pub fn dump(&self) -> String {
        self.database.run("SELECT schema_to_xml('public', true, false, '')")
    }

    /// Pushes to a cache at both daemons with one token, which was made at the first.
    #[track_caller]
    pub fn pushers(&self, cache: &str) -> [Pusher; 2] {
        let token = self.a.token(cache, Permission::Write);
        let target = format!("/api/v1/cache/{cache}");
        wait_for(SOON, "the token is good at the other daemon", || {
            (self.b.api().get(&target).bearer(&token).send().status == 200).then_some(())
        });
        [&self.a, &self.b].map(|site| Pusher::new(site.api(), cache, &token))
    }
}

/// Connections whose server processes stand still until this is dropped.
pub struct DelayedFeeds {
    backends: Vec<String>,
}

impl Drop for DelayedFeeds {
    fn drop(&mut self) {
        signal("-CONT", &self.backends);
    }
}

fn signal(signal: &str, processes: &[String]) {
    // One of them may have ended.
    let _ = Command::new("kill").arg(signal).args(processes).stderr(Stdio::null()).status();
}

/// The one storage of every cache.
fn bucket(endpoint: &str) -> Value {
    json!({
        "name": "bucket",
        "type": "s3",
        "root": "caches",
        "s3_bucket": BUCKET,
        "s3_region": REGION,
        "s3_endpoint": endpoint,
        "s3_force_path_style": true,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
    })
}
