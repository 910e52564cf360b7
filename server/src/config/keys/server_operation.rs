//! Keys of `server` about the daemon while it runs: log, limits, timeouts, garbage collection.

use super::field::{Many, Maybe, Nested, One};
use super::field_secret::{FileOfSecret, SecretOrFile};
use super::key::Key;
use super::lens::lens;
use super::table::{Table, Topic};
use super::types::{
    BOOL, COUNT, DURATION, INTERVAL, LOG_FILTER, NETWORK, PATH, PERCENTAGE, POSITIVE_DURATION, SIZE,
    SOCKET_ADDRESS, Type, words,
};
use crate::config::{LogConfig, LogFormat, ServerConfig};

const LOG_FORMAT: Type<LogFormat> = words();

pub const OPERATION: Topic<ServerConfig> = Topic {
    title: "Operation",
    keys: &[
        Key::new("log", &Nested(lens!(ServerConfig, log), &LOG)).summary("What the daemon logs, and how"),
        Key::new("drain-timeout", &One(lens!(ServerConfig, drain_timeout), DURATION))
            .default("30s")
            .applied_on_reload()
            .summary("How long running transfers may continue when the daemon stops"),
        Key::new("upload-expiry", &One(lens!(ServerConfig, upload_expiry), POSITIVE_DURATION))
            .default("24h")
            .summary("Age at which an unfinished upload is discarded"),
        Key::new("gc-interval", &One(lens!(ServerConfig, gc_interval), INTERVAL))
            .default("12h")
            .applied_on_reload()
            .summary("Pause between two garbage collections, or `off` for none")
            .details(
                "A collection removes paths that nothing has used for the `retention` of their cache, that no pin holds, and \
                 that no kept path refers to. `cachectl gc` collects at once. Collections pause while the system clock is in \
                 doubt, see `cachectl doctor`.",
            ),
        Key::new("gc-grace", &One(lens!(ServerConfig, gc_grace), DURATION))
            .default("1h")
            .applied_on_reload()
            .summary("How long a path is kept after it was pushed or requested, even by `cachectl gc`")
            .details("Clients rely on the reply that a path is present."),
        Key::new("gc-max-share", &One(lens!(ServerConfig, gc_max_share), PERCENTAGE))
            .default("50")
            .applied_on_reload()
            .summary("Largest percentage of the paths of a cache that an unattended collection may remove")
            .details(
                "Collections at `gc-interval` and for `keep-max-size` are unattended. One that would remove more removes nothing, \
                 and `cachectl doctor` and `cachectl status` report it. `cachectl gc` collects everything.",
            ),
        Key::new("trash", &One(lens!(ServerConfig, trash), INTERVAL))
            .default("24h")
            .applied_on_reload()
            .summary("How long removed paths can be restored with `cachectl path restore`, or `off`")
            .details(
                "They are not served, but their files still take space and count as used. If a storage needs room, the paths that \
                 were removed first are deleted early.",
            ),
        Key::new("scrub-interval", &One(lens!(ServerConfig, scrub_interval), INTERVAL))
            .default("30days")
            .applied_on_reload()
            .summary("Time in which every NAR is read once and compared with its hash, or `off`")
            .details(
                "The work is spread evenly over this time. The paths of a damaged file are hidden until they are pushed \
                 again. `cachectl worker list` shows the progress, and `cachectl storage scrub` reads everything at once.",
            ),
        Key::new("deploy-timeout", &One(lens!(ServerConfig, deploy_timeout), POSITIVE_DURATION))
            .default("2h")
            .applied_on_reload()
            .summary("How long a deployment may take once its agent has begun")
            .details("A deployment that takes longer counts as failed."),
        Key::new(
            "deploy-pending-timeout",
            &One(lens!(ServerConfig, deploy_pending_timeout), POSITIVE_DURATION),
        )
        .default("7days")
        .applied_on_reload()
        .summary("How long a deployment waits for an agent that is offline")
        .details("Then it is cancelled."),
        Key::new("hide-private-caches", &One(lens!(ServerConfig, hide_private_caches), BOOL))
            .default("false")
            .applied_on_reload()
            .summary("Whether to hide which private caches exist")
            .details(
                "A request for a cache that does not exist then gets 401, like one for a private cache, unless its token would \
                 open that cache. With a mistyped name, `cachix use` then says that authentication is required.",
            ),
        Key::new("web-pages", &One(lens!(ServerConfig, web_pages), BOOL))
            .default("true")
            .applied_on_reload()
            .summary("Whether to serve web pages")
            .details(
                "Anyone can browse public caches and search them by name. Private caches, deployments and the pages for operators \
                 require a token. With `false`, `/` is a few lines of plain text, as it is for curl.",
            ),
        Key::new("max-connections", &One(lens!(ServerConfig, max_connections), COUNT))
            .default("4096")
            .summary("Largest number of client connections at a time")
            .details(
                "At the limit, the connection that has been idle for longest is closed to make room; requests under way are never \
                 cut off. One address may have half of the connections, except this machine itself, where a reverse proxy may run. \
                 Deploy agents have a separate limit of the same size.",
            ),
        Key::new("narinfo-memory", &One(lens!(ServerConfig, narinfo_memory), SIZE))
            .default("64 MiB")
            .summary("Memory for narinfo replies that are kept ready"),
        Key::new("trusted-proxies", &Many(lens!(ServerConfig, trusted_proxies), NETWORK))
            .summary("Reverse proxies on other machines, by address or network")
            .details(
                "From these, and from this machine, the last address in `X-Forwarded-For` is that of the client: the limits for \
                 each client and the audit log use it.",
            )
            .example("[192.0.2.10, \"10.0.0.0/8\"]"),
        Key::new("audit-log", &Maybe(lens!(ServerConfig, audit_log), PATH))
            .derived("the log of the daemon, under the target `audit`")
            .summary("File for the audit log: who changed what, from where, and with what result")
            .details(
                "A JSON object on each line: time, outcome, token and its subject or uid, address, cache, action, object and status. \
                 Refusals are included; many of the same kind are counted instead. The file is opened again after it was moved \
                 away.",
            )
            .example("/var/log/cache-server/audit.jsonl"),
        Key::new("metrics-address", &Maybe(lens!(ServerConfig, metrics_address), SOCKET_ADDRESS))
            .derived("no metrics")
            .summary("Address and port on which Prometheus finds the metrics, at `/metrics`")
            .details("They name caches, storages and agents, private ones included: keep the address to yourself, or set a token.")
            .example("127.0.0.1:9105"),
        Key::new("metrics-token", &METRICS_TOKEN)
            .applied_on_reload()
            .summary("Token that Prometheus has to present, as a bearer token or as the password"),
        Key::new("metrics-token-file", &FileOfSecret { get: METRICS_TOKEN.get })
            .applied_on_reload()
            .summary("File with the token that Prometheus has to present, instead of `metrics-token`")
            .example("/run/secrets/cache-metrics-token"),
    ],
};

const METRICS_TOKEN: SecretOrFile<ServerConfig> = SecretOrFile {
    get: |server| Some(server.metrics_token.clone()),
    set: |server, source| server.metrics_token = source,
    file_key: "metrics-token-file",
    if_empty: None,
};

/// `server.log`.
pub const LOG: Table<LogConfig> = Table {
    title: "`server.log`",
    path: "server.log",
    topics: &[Topic {
        title: "Log",
        keys: &[
            Key::new("filter", &One(lens!(LogConfig, filter), LOG_FILTER))
                .default("info")
                .applied_on_reload()
                .summary("How much is logged: `error`, `warn`, `info`, `debug` or `trace`")
                .details("Parts of the program may have a level of their own: `info,cache_server=debug`.")
                .example("info,cache_server=debug"),
            Key::new("format", &One(lens!(LogConfig, format), LOG_FORMAT))
                .default("text")
                .summary("Format of the lines: `text` for people, `json` for machines"),
        ],
    }],
};
