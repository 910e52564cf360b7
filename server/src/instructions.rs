//! The lines that people type on a client to use a cache. The greeting, `cachectl cache info` and the web pages show the same ones.

use crate::origin::netrc_machine;

/// What Nix remembers about a cache, and how to make it look again.
pub const MEMORY: [&str; 3] = [
    "Nix remembers for 30 days that a cache has a path, and for an hour that it",
    "does not. If a path was deleted, collected or pushed since, add `--refresh`",
    "to the command.",
];

/// Pushing with cachix, with a token as it is typed.
pub fn push_with_cachix(api: &str, cache: &str, token: &str) -> Vec<String> {
    vec![
        format!("cachix config set hostname {api}"),
        format!("cachix authtoken {token}"),
        format!("cachix push {cache} ./result"),
    ]
}

/// The line of a netrc file with the token for the cache at `url`. Any login will do, but without one some versions of curl
/// find no password but that of the last machine in the file.
pub fn netrc_line(url: &str, token: &str) -> String {
    format!("machine {} login token password {token}", netrc_machine(url))
}

/// Pushing with Nix alone. Left to itself it compresses with xz, which takes twenty times as long as zstd.
pub fn push_with_nix(url: &str, compression: &str, netrc: &str) -> String {
    format!("nix copy --option netrc-file {netrc} --to '{url}?compression={compression}' ./result")
}

/// What to add to nix.conf to fetch.
pub fn fetch(url: &str, keys: &[String]) -> Vec<String> {
    vec![format!("extra-substituters = {url}"), format!("extra-trusted-public-keys = {}", keys.join(" "))]
}

/// Fetching with cachix, from a server that it does not know yet.
pub fn fetch_with_cachix(api: &str, cache: &str) -> Vec<String> {
    vec![format!("cachix config set hostname {api}"), format!("cachix use {cache}")]
}

/// What to add to a flake so that everybody who builds it fetches from the cache.
pub fn fetch_in_flake(url: &str, keys: &[String]) -> Vec<String> {
    let mut lines = vec!["nixConfig = {".to_owned()];
    lines.extend(list("  extra-substituters", &[url.to_owned()], "  "));
    lines.extend(list("  extra-trusted-public-keys", keys, "  "));
    lines.push("};".to_owned());
    lines
}

/// What to add to the configuration of a NixOS system.
pub fn fetch_in_nixos(url: &str, keys: &[String]) -> Vec<String> {
    let mut lines = vec!["nix.settings = {".to_owned()];
    lines.extend(list("  substituters", &[url.to_owned()], "  "));
    lines.extend(list("  trusted-public-keys", keys, "  "));
    lines.push("};".to_owned());
    lines
}

/// Options for one command.
pub fn fetch_once(command: &str, url: &str, keys: &[String]) -> Vec<String> {
    vec![
        format!("{command} \\"),
        format!("  --option extra-substituters {url} \\"),
        format!("  --option extra-trusted-public-keys '{}'", keys.join(" ")),
    ]
}

/// A setting of the Nix language whose value is a list of texts.
fn list(name: &str, values: &[String], indent: &str) -> Vec<String> {
    match values {
        [value] => vec![format!("{name} = [ \"{value}\" ];")],
        values => {
            let mut lines = vec![format!("{name} = [")];
            lines.extend(values.iter().map(|value| format!("{indent}  \"{value}\"")));
            lines.push(format!("{indent}];"));
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_looked_up_by_the_bare_host() {
        for (url, host) in [
            ("https://main.cache.example.org", "main.cache.example.org"),
            ("http://127.0.0.1:5000/api/v1/cache/main", "127.0.0.1"),
            ("http://[::1]:8080", "::1"),
        ] {
            assert_eq!(netrc_line(url, "T"), format!("machine {host} login token password T"));
        }
    }
}
