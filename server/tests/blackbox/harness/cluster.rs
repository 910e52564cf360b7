//! Two daemons over one PostgreSQL database and one S3 bucket, each with a state directory of its own.

use std::path::Path;

use serde_json::{Value, json};

use super::{Permission, Pusher, SOON, Site, wait_for};

#[path = "../../../crates/catalog/tests/support/postgres.rs"]
mod postgres;

use super::garage::{ACCESS_KEY, BUCKET, Garage, REGION, SECRET_KEY};

/// The daemons and what they share. Fields are dropped in their order, so that the daemons go first.
pub struct Cluster {
    pub a: Site,
    pub b: Site,
    _database: postgres::Database,
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
        let garage = Garage::start();
        let postgres = postgres::Server::private_and_fast();
        let database = postgres.database();
        let (endpoint, url) = (garage.endpoint(), database.url());
        let share = |config: &mut Value, _: &Path| {
            edit(config);
            config["server"]["database"] = json!(url);
            for cache in config["caches"].as_array_mut().unwrap() {
                cache["storages"] = json!([bucket(&endpoint)]);
            }
        };
        let [a, b] = [(); 2].map(|()| Site::with_files(share));
        Self { a, b, _database: database, postgres, _garage: garage }
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
