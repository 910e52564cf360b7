//! What a daemon without a configuration file says when it is ready: all that is needed to push and to fetch.

use std::fmt::Write as _;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use catalog::{TokenCaches, TokenPermission, TokenScope};
use zeroize::Zeroizing;

use crate::auth::NewToken;
use crate::config::Config;
use crate::http::state::State;
use crate::instructions::{fetch, netrc_line, push_with_cachix, push_with_nix};

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
    let api = config.server.server_port;
    let mut notes = Vec::new();
    // Ports that are handed over are in use, by us.
    if std::env::var_os("LISTEN_FDS").is_some() {
        return notes;
    }
    for cache in &mut config.caches {
        let Some(port) = cache.port else { continue };
        if let Err(error) = TcpListener::bind((hostname.as_str(), port)) {
            cache.port = None;
            let reason = match error.kind() {
                io::ErrorKind::AddrInUse => "is in use".to_owned(),
                _ => format!("is not available ({error})"),
            };
            notes.push(format!("Port {port} {reason}: cache {} is served at port {api} only.", cache.name));
        }
    }
    notes
}

/// What to say if the state is not where a user would expect it because their home directory is not known.
pub fn home_is_missing(config: &Config) -> Option<String> {
    let is_set = |name| std::env::var_os(name).is_some();
    if ["HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"].into_iter().any(is_set) {
        return None;
    }
    Some(format!("HOME is not set: the state is in {}.", config.server.state_dir.display()))
}

/// Writes the netrc file with the token for the first cache, for its owner alone.
pub fn write_netrc(state: &State, token: &str) -> io::Result<()> {
    let Some(cache) = state.caches().iter().next().cloned() else { return Ok(()) };
    let url = state.origin.cache_url(&cache, None);
    private_file::write(&netrc_path(state), format!("{}\n", netrc_line(&url, token)).as_bytes())
}

/// The text itself, which fits on a screen of 80 by 24 with the line of the cursor, and with a note. The token is in it only if it
/// is `shown`, to a person at a terminal; else the file that has it is named.
pub fn text(state: &State, notes: &[String], shown: Option<&str>) -> String {
    let server = &state.config().server;
    let mut text = format!("\ncache-server {} is ready, for this machine only.\n", env!("CARGO_PKG_VERSION"));
    let token_file = for_shell(&token_path(state));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<10}{value}");
    };
    row("state", &for_shell(&server.state_dir));
    row("cachectl", &cachectl(&server.state_dir));
    row("token", shown.unwrap_or(&format!("in {token_file}")));
    let missing = state.listeners.infos().into_iter().filter_map(|listener| {
        let error = listener.error?;
        Some(format!("Nothing listens on {}: {error}. The daemon tries again by itself.", listener.address))
    });
    for note in notes.iter().cloned().chain(missing) {
        row("note", &note);
    }
    let Some(cache) = state.caches().iter().next().cloned() else { return text };
    let url = state.origin.cache_url(&cache, None);
    let keys: Vec<String> = cache.keys().published().iter().map(ToString::to_string).collect();
    let token = format!("\"$(cat {token_file})\"");
    let compression = cache.config().compression.to_string();
    let netrc = for_shell(&netrc_path(state));
    text.push('\n');
    let steps = [
        ("Push with cachix", push_with_cachix(&state.origin.api_url(), cache.name(), &token)),
        ("Push with Nix alone", vec![push_with_nix(&url, &compression, &netrc)]),
        ("Fetch: add to /etc/nix/nix.conf, then restart nix-daemon", fetch(&url, &keys)),
    ];
    for (title, lines) in steps {
        let _ = write!(text, "{title}:\n  {}\n", lines.join("\n  "));
    }
    let _ = write!(
        text,
        "\nIf Nix skips a path that was pushed or deleted since, add --refresh.\n\
         Next: `cachectl status`; then a config file, as in docs/src/quick-start.md.\n"
    );
    text
}

/// A path as it is typed: from the home directory on where it is below, and quoted where the shell needs that.
fn for_shell(path: &Path) -> String {
    let home = std::env::var_os("HOME").filter(|home| home.len() > 1);
    let below_home = home.as_ref().and_then(|home| path.strip_prefix(home).ok());
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+,@".contains(c));
    match below_home.and_then(Path::to_str) {
        Some(rest) if is_plain(rest) => format!("~/{rest}"),
        _ => match path.display().to_string() {
            text if is_plain(&text) => text,
            text => format!("'{}'", text.replace('\'', "'\\''")),
        },
    }
}

/// Where cachectl is. `cargo run` builds this program alone, which is cachectl too when it is called by that name: then a link
/// makes it, beside the program in cargo's directory, else in the state directory.
fn cachectl(state_dir: &Path) -> String {
    let Ok(program) = std::env::current_exe() else { return "not found".to_owned() };
    let beside = program.with_file_name("cachectl");
    if beside.exists() {
        return for_shell(&beside);
    }
    let is_run_by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").is_some();
    let own = state_dir.join("bin/cachectl");
    let places = if is_run_by_cargo { vec![beside, own] } else { vec![own] };
    let made = places.into_iter().find(|place| link(&program, place).is_ok());
    made.map_or_else(|| "not beside this program".to_owned(), |place| for_shell(&place))
}

/// Makes a link, instead of one that is there.
fn link(program: &Path, place: &Path) -> io::Result<()> {
    if let Some(directory) = place.parent() {
        std::fs::create_dir_all(directory)?;
    }
    match std::fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::os::unix::fs::symlink(program, place),
    }
}
