//! The top level of the file.

use super::field::{Entries, Nested, ReadByDecoder};
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::{AGENT, CACHE, SERVER, WORKSPACE};
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
        ],
    }],
};
