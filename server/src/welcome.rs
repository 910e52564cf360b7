//! What a daemon without a configuration file says when it is ready: all that is needed to push and to fetch.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use catalog::{TokenCaches, TokenPermission, TokenScope};
use zeroize::Zeroizing;

use crate::app::App;
use crate::auth::NewToken;
use crate::cache::keys::write_private;
use crate::http::origin::netrc_machine;

/// The write token of a daemon without configuration: made once, then kept beside the other secrets, so that it can be
/// shown again.
pub async fn write_token(app: &App) -> io::Result<Zeroizing<String>> {
    let path = token_path(app);
    if let Ok(token) = std::fs::read_to_string(&path) {
        let token = Zeroizing::new(token.trim().to_owned());
        if app.tokens.verify(&token).is_ok() {
            return Ok(token);
        }
    }
    let new = NewToken {
        subject: "made at the first start".to_owned(),
        scope: TokenScope::Caches { caches: TokenCaches::All, permission: TokenPermission::Write },
        expires_at: None,
    };
    let token = Zeroizing::new(app.tokens.issue(new).await.map_err(io::Error::other)?.token);
    write_private(&path, token.as_bytes())?;
    Ok(token)
}

fn token_path(app: &App) -> PathBuf {
    app.config().server.state_dir.join("write-token")
}

/// The text itself, for a terminal.
pub fn text(app: &App, token: &str) -> String {
    let server = &app.config().server;
    let api = app.origin.api_url();
    let mut text = format!("\ncache-server {} is ready.\n\n", env!("CARGO_PKG_VERSION"));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12}{value}");
    };
    row("state", &server.state_dir.display().to_string());
    row("API", &api);
    for cache in app.caches().iter() {
        row(&format!("cache {}", cache.name()), &app.origin.cache_url(cache, None));
        for key in cache.keys().published() {
            row("public key", &key.to_string());
        }
    }
    row("write token", token);
    row("", &format!("(kept in {})", token_path(app).display()));
    let Some(cache) = app.caches().iter().next().cloned() else { return text };
    let (name, url) = (cache.name(), app.origin.cache_url(&cache, None));
    let keys: Vec<String> = cache.keys().published().iter().map(ToString::to_string).collect();
    let _ = write!(
        text,
        "\nPush with cachix:\n\n  \
         cachix config set hostname {api}\n  \
         cachix authtoken {token}\n  \
         cachix push {name} /nix/store/...\n\n\
         Push with Nix alone:\n\n  \
         echo \"machine {machine} password $(cat {token_file})\" > cache-netrc\n  \
         nix copy --option netrc-file \"$PWD/cache-netrc\" --to {url} /nix/store/...\n\n\
         Fetch from it, in nix.conf:\n\n  \
         extra-substituters = {url}\n  \
         extra-trusted-public-keys = {keys}\n\n",
        machine = netrc_machine(&url),
        token_file = token_path(app).display(),
        keys = keys.join(" "),
    );
    text
}
