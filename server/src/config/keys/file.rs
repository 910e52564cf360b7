//! The top level of the file.

use super::field::{Entries, Nested, ReadByDecoder};
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::{AGENT, CACHE, CLIENT_CERTIFICATE, OIDC, SERVER, WORKSPACE};
use crate::config::Config;

/// The file.
pub const FILE: Table<Config> = Table {
    title: "the top level",
    path: "",
    topics: &[Topic {
        title: "The file",
        keys: &[
            Key::new("server", &ReadByDecoder(Nested(lens!(Config, server), &SERVER)))
                .summary("Settings of the daemon as a whole"),
            Key::new("caches", &Entries(lens!(Config, caches), &CACHE))
                .required()
                .applied_on_reload()
                .summary("The caches that the daemon serves")
                .details(
                    "Write `caches: []` to serve none. A cache that leaves the file is no longer served; its data stays \
                     until `cachectl cache delete` removes it.",
                )
                .example("[{name: main}]"),
            Key::new("workspaces", &Entries(lens!(Config, workspaces), &WORKSPACE))
                .applied_on_reload()
                .summary("Workspaces of Cachix Deploy: groups of machines that fetch from one cache")
                .example("[{name: production, cache: main}]"),
            Key::new("agents", &Entries(lens!(Config, agents), &AGENT))
                .applied_on_reload()
                .summary("Agents of Cachix Deploy: the machines that deployments go to")
                .example("[{name: webserver, workspace: production}]"),
            Key::new("oidc", &Entries(lens!(Config, oidc), &OIDC))
                .applied_on_reload()
                .summary("OpenID providers whose tokens open caches: CI jobs push without a secret")
                .details(
                    "A token of a provider is accepted as it is, where clients present a token of this server. \
                     `POST /api/v1/oidc/token` exchanges it for one of this server that lasts longer (RFC 8693).",
                )
                .example("[{name: github, issuer: https://token.actions.githubusercontent.com, audience: cache}]"),
            Key::new("client-certificates", &Entries(lens!(Config, client_certificates), &CLIENT_CERTIFICATE))
                .applied_on_reload()
                .summary("What TLS certificates of clients permit; the first rule that fits decides")
                .details("`server.tls.client-authorities` says whose certificates count. If a request has a token as well, the token decides.")
                .example("[{claims: {cn: builder}, caches: [main]}]"),
        ],
    }],
};
