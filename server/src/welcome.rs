//! What a daemon without a configuration file says when it is ready: all that is needed to push and to fetch.

use std::fmt::Write as _;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;

use catalog::{TokenCaches, TokenPermission, TokenScope};
use zeroize::Zeroizing;

use crate::auth::NewToken;
use crate::config::Config;
use crate::http::state::State;
use crate::instructions::{MEMORY, fetch, netrc_line, push_with_cachix, push_with_nix};

/// The write token of a daemon without configuration: made once, then kept beside the other secrets, so that it can be
/// shown again.
pub async fn write_token(state: &State) -> io::Result<Zeroizing<String>> {
    let path = token_path(state);
    if let Ok(token) = std::fs::read_to_string(&path) {
        let token = Zeroizing::new(token.trim().to_owned());
        if state.tokens.verify(&token).is_ok() {
            return Ok(token);
        }
    }
    let new = NewToken {
        subject: "made at the first start".to_owned(),
        scope: TokenScope::Caches { caches: TokenCaches::All, permission: TokenPermission::Write },
        expires_at: None,
        daily_limit: None,
    };
    let token = Zeroizing::new(state.tokens.issue(new).await.map_err(io::Error::other)?.token);
    private_file::write(&path, token.as_bytes())?;
    Ok(token)
}

fn token_path(state: &State) -> PathBuf {
    state.config().server.state_dir.join("write-token")
}

fn netrc_path(state: &State) -> PathBuf {
    state.config().server.state_dir.join("netrc")
}

/// Gives up ports of a daemon without configuration that another program uses, so that the URLs which are printed do not lead
/// there. Its caches are served on the port of the API as well. Returns what to say about it.
pub fn give_up_taken_ports(config: &mut Config) -> Vec<String> {
    let hostname = config.server.hostname.clone();
    let mut notes = Vec::new();
    // Ports that are handed over are in use, by us.
    if std::env::var_os("LISTEN_FDS").is_some() {
        return notes;
    }
    for cache in &mut config.caches {
        let Some(port) = cache.port else { continue };
        if let Err(error) = TcpListener::bind((hostname.as_str(), port)) {
            cache.port = None;
            notes.push(format!(
                "Port {port} is not available ({error}): cache {} is served at the API's port only.",
                cache.name
            ));
        }
    }
    notes
}

/// Writes the netrc file with the token for the first cache, for its owner alone.
pub fn write_netrc(state: &State, token: &str) -> io::Result<()> {
    let Some(cache) = state.caches().iter().next().cloned() else { return Ok(()) };
    let url = state.origin.cache_url(&cache, None);
    private_file::write(&netrc_path(state), format!("{}\n", netrc_line(&url, token)).as_bytes())
}

/// The text itself. The token is in it only if it is `shown`, to a person at a terminal; else the file that has it is named.
pub fn text(state: &State, notes: &[String], shown: Option<&str>) -> String {
    let server = &state.config().server;
    let api = state.origin.api_url();
    let mut text =
        format!("\ncache-server {} is ready, for this machine only.\n\n", env!("CARGO_PKG_VERSION"));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12}{value}");
    };
    row("state", &server.state_dir.display().to_string());
    row("API", &api);
    for cache in state.caches().iter() {
        row(&format!("cache {}", cache.name()), &state.origin.cache_url(cache, None));
        for key in cache.keys().published() {
            row("public key", &key.to_string());
        }
    }
    if let Some(token) = shown {
        row("write token", token);
    }
    row("token file", &token_path(state).display().to_string());
    row("cachectl", &cachectl());
    let missing = state.listeners.infos().into_iter().filter_map(|listener| {
        let error = listener.error?;
        Some(format!("Nothing listens on {}: {error}. The daemon tries again by itself.", listener.address))
    });
    for note in notes.iter().cloned().chain(missing) {
        let _ = writeln!(text, "\n{note}");
    }
    let Some(cache) = state.caches().iter().next().cloned() else { return text };
    let url = state.origin.cache_url(&cache, None);
    let keys: Vec<String> = cache.keys().published().iter().map(ToString::to_string).collect();
    let token = format!("\"$(cat {})\"", token_path(state).display());
    let compression = cache.config().compression.to_string();
    let netrc = netrc_path(state).display().to_string();
    let steps = [
        ("Push with cachix", push_with_cachix(&api, cache.name(), &token)),
        ("Push with Nix alone", vec![push_with_nix(&url, &compression, &netrc)]),
        ("Fetch, in nix.conf", fetch(&url, &keys)),
    ];
    for (title, lines) in steps {
        let _ = write!(text, "\n{title}:\n  {}\n", lines.join("\n  "));
    }
    let _ = writeln!(text, "\n{}\n", MEMORY.join("\n"));
    text
}

/// Where `cachectl` is: beside this program, unless it was not built.
fn cachectl() -> String {
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name("cachectl"));
    match beside {
        Some(file) if file.exists() => file.display().to_string(),
        _ => "not beside this program; `cargo build --release` makes it".to_owned(),
    }
}
