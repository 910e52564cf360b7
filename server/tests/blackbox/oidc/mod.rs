//! Tokens of OpenID providers, issued by a certified implementation (npm `oidc-provider`) that each test starts for itself.

mod certificates;
mod exchange;
mod forwarding;
mod leaks;
mod matrix;
mod outage;
mod provider;
mod recipe;
mod tokens;

use std::path::Path;

use serde_json::{Value, json};

pub use self::provider::Provider;
use crate::harness::{Endpoint, Site};

/// The audience of the tests.
pub const AUDIENCE: &str = "https://cache.test";

/// The configuration of a provider with these rules.
pub fn trust(provider: &Provider, rules: &Value) -> Value {
    json!([{"name": "ci", "issuer": provider.issuer(), "audience": AUDIENCE, "rules": rules}])
}

/// The rules of most tests: a repository pushes to the private cache from its main branch, and reads from elsewhere.
pub fn rules() -> Value {
    json!([
        {"claims": {"repository": "acme/web", "ref": "refs/heads/main"}, "caches": ["priv"], "permission": "write",
         "lifetime": "1h"},
        {"claims": {"repository": "acme/*"}, "caches": ["priv"], "permission": "read"},
    ])
}

/// A site that trusts the provider.
pub fn site(provider: &Provider) -> Site {
    site_with(provider, |_, _| {})
}

/// The same with more changes to its config.
pub fn site_with(provider: &Provider, edit: impl Fn(&mut Value, &Path)) -> Site {
    Site::with_files(|config, directory| {
        config["oidc"] = trust(provider, &rules());
        edit(config, directory);
    })
}

/// The claims of a job on the main branch.
pub fn main_branch() -> Value {
    json!({"repository": "acme/web", "ref": "refs/heads/main"})
}

/// What the API says to a token that asks for the private cache: the status alone.
pub fn status_of(api: &Endpoint, token: &str) -> u16 {
    api.get("/api/v1/cache/priv").bearer(token).send().status
}

/// Whether a token may push to a cache.
pub fn may_push(site: &Site, cache: &str, token: &str) -> bool {
    let create =
        site.api().post(&format!("/api/v1/cache/{cache}/multipart-nar?compression=zst")).bearer(token);
    create.body("").send().status == 200
}
