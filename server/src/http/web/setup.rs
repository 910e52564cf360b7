//! How to use a cache: one tab for each way.

use maud::{Markup, html};

use super::parts::code;
use super::visit::Visit;
use crate::cache::Cache;
use crate::http::state::State;
use crate::instructions::{
    fetch, fetch_in_flake, fetch_in_nixos, fetch_once, fetch_with_cachix, netrc_line, push_with_cachix,
};
use crate::origin::suits_cachix_use;

/// The URL of a cache and its keys, as clients need them.
pub struct Addresses {
    /// The substituter.
    pub url: String,
    /// The keys, `NAME:BASE64`.
    pub keys: Vec<String>,
    /// The URL of the API.
    api: String,
}

impl Addresses {
    /// Those for a client that reached the server as the viewer did.
    pub fn of(state: &State, cache: &Cache, host: Option<&str>) -> Self {
        Self {
            url: state.origin.cache_url(cache, host),
            keys: cache.keys().published().iter().map(ToString::to_string).collect(),
            api: state.origin.url(host, ""),
        }
    }
}

/// Ways to fetch from a cache, and how to push to it.
pub fn tabs(visit: &Visit, cache: &Cache, addresses: &Addresses) -> Markup {
    let Addresses { url, keys, api } = addresses;
    let name = cache.name();
    let is_private = !cache.is_public();
    // `cachix use` writes the whole URL into netrc, where Nix looks for the host alone.
    let suits_cachix = !is_private || suits_cachix_use(url);
    let id = |number: usize| format!("use-{name}-{number}");
    let labels = ["cachix", "nix.conf", "Flake", "NixOS", "Once"];
    html! {
        fieldset.tabs {
            legend.unseen { "How to use " (name) }
            @for (number, label) in labels.iter().enumerate() {
                input type="radio" name=(format!("use-{name}")) id=(id(number)) checked[number == 0];
                label for=(id(number)) { (label) }
            }
            div {
                (code(&fetch_with_cachix(api, name)))
                @if !suits_cachix {
                    p.soft { "Then add the line with the token below to your netrc file: cachix writes one that Nix does not match." }
                }
                p.soft { "To push, with a token that may write:" }
                (code(&push_with_cachix(api, name, "TOKEN")))
            }
            div {
                p.soft { "In " code { "/etc/nix/nix.conf" } ", or in " code { "~/.config/nix/nix.conf" } " of a trusted user:" }
                (code(&fetch(url, keys)))
            }
            div {
                p.soft { "At the top level of " code { "flake.nix" } ", for everybody who builds it:" }
                (code(&fetch_in_flake(url, keys)))
            }
            div {
                p.soft { "In the configuration of a NixOS system:" }
                (code(&fetch_in_nixos(url, keys)))
            }
            div {
                p.soft { "For a single command:" }
                (code(&fetch_once("nix build nixpkgs#hello", url, keys)))
            }
        }
        @if is_private {
            p.soft { "The cache is private. Add a token that may read to the " code { "netrc-file" } " of Nix:" }
            (code(&[netrc_line(url, "TOKEN")]))
        }
        @if visit.viewer.grant().is_none() && is_private { p { a href=(visit.to("login")) { "Log in" } } }
    }
}
